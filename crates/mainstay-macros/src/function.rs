//! What the annotated function must be, and which of its parameters its body borrows.

use syn::visit::{self, Visit};
use syn::{Error, Expr, FnArg, Ident, ItemFn, Pat, Result, ReturnType, Type};

/// Refuses a function whose body cannot be a loader.
pub(crate) fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        let message = "a cached function is async: its body becomes the loader of the cache";
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    if let Some(unsafety) = &signature.unsafety {
        return Err(Error::new_spanned(
            unsafety,
            "a cached function cannot be unsafe",
        ));
    }
    returned(function).map(drop)
}

/// What the function returns: a `Result`.
pub(crate) fn returned(function: &ItemFn) -> Result<&Type> {
    let wrong = "a cached function returns a Result: what its body fails with, and what the cache \
                 itself may fail with";
    let ReturnType::Type(_, returned) = &function.sig.output else {
        return Err(Error::new_spanned(&function.sig.ident, wrong));
    };
    match &**returned {
        Type::Path(path)
            if path
                .path
                .segments
                .last()
                .is_some_and(|s| s.ident == "Result") =>
        {
            Ok(returned)
        }
        _ => Err(Error::new_spanned(returned, wrong)),
    }
}

/// Refuses a body that uses what it would have to borrow: `self`, or a parameter that is a
/// reference and is not bound anew by `with`.
pub(crate) fn check_borrows(function: &ItemFn, bound: &[&Ident]) -> Result<()> {
    let mut borrowed = Vec::new();
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => borrowed.push(Ident::from(receiver.self_token)),
            FnArg::Typed(parameter) => {
                if let (Pat::Ident(pattern), Type::Reference(_)) = (&*parameter.pat, &*parameter.ty)
                    && !bound.contains(&&pattern.ident)
                {
                    borrowed.push(pattern.ident.clone());
                }
            }
        }
    }
    let mut uses = Uses {
        of: &borrowed,
        first: None,
    };
    uses.visit_block(&function.block);
    match uses.first {
        None => Ok(()),
        Some(name) => Err(Error::new(
            name.span(),
            format!(
                "the body runs in a task of the cache and cannot borrow `{name}`: bind what it \
                 needs, as in with(db = self.db.clone())"
            ),
        )),
    }
}

/// The first use of one of some names.
struct Uses<'a> {
    of: &'a [Ident],
    first: Option<Ident>,
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_expr(&mut self, expression: &'ast Expr) {
        if let Expr::Path(path) = expression
            && let Some(name) = path.path.get_ident()
            && self.of.contains(name)
        {
            self.first.get_or_insert_with(|| name.clone());
        }
        visit::visit_expr(self, expression);
    }

    fn visit_item(&mut self, _item: &'ast syn::Item) {
        // Another function's names are its own.
    }
}
