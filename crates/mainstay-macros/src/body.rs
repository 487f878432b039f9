//! References that the body uses, though the loader outlives them.
//!
//! What cannot be told for certain is left to the compiler, which refuses it as well, with a
//! message about lifetimes.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Error, Expr, ExprPath, FnArg, Item, ItemFn, Macro, Pat, PatIdent, Result, Signature, Token,
    Type,
};

/// Macros whose arguments are expressions.
const OF_EXPRESSIONS: [&str; 18] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "panic",
    "print",
    "println",
    "unreachable",
    "vec",
    "write",
    "writeln",
];

/// Refuses a body that uses `&self` or a reference among the arguments, unless `handed` has its
/// name.
pub(crate) fn check(function: &ItemFn, handed: &BTreeSet<String>) -> Result<()> {
    let mut uses = Uses::default();
    uses.visit_block(&function.block);
    let references = references(&function.sig);
    let mut errors: Option<Error> = None;
    for (name, span) in uses.used {
        let hidden = handed.contains(&name) || uses.bound.contains(&name);
        if hidden || !references.contains(&name) {
            continue;
        }
        let error = Error::new(span, refusal(&name));
        match &mut errors {
            None => errors = Some(error),
            Some(errors) => errors.combine(error),
        }
    }
    errors.map_or(Ok(()), Err)
}

fn refusal(name: &str) -> String {
    if name == "self" {
        "the loader may outlive this call, so the body cannot use `&self`: hand it what it needs, \
         as in `with(db = self.db.clone())`, or take `self: Arc<Self>`"
            .to_owned()
    } else {
        format!(
            "the loader may outlive this call, so the body cannot use the reference `{name}`: \
             take it by value, or hand it over as in `with({name} = {name}.to_owned())`"
        )
    }
}

/// Names of the arguments that are taken by value, `self` among them.
pub(crate) fn owned(signature: &Signature) -> BTreeSet<String> {
    let mut owned = Names::default();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) if !is_reference(&receiver.ty) => {
                owned.0.insert("self".to_owned());
            }
            FnArg::Typed(typed) if !is_reference(&typed.ty) => owned.visit_pat(&typed.pat),
            FnArg::Receiver(_) | FnArg::Typed(_) => {}
        }
    }
    owned.0
}

fn references(signature: &Signature) -> BTreeSet<String> {
    let inputs = signature.inputs.iter();
    inputs
        .filter_map(|input| match input {
            FnArg::Receiver(receiver) => is_reference(&receiver.ty).then(|| "self".to_owned()),
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(name) if is_reference(&typed.ty) => Some(name.ident.to_string()),
                _ => None,
            },
        })
        .collect()
}

/// Whether it is a reference that a task cannot keep.
fn is_reference(of: &Type) -> bool {
    match of {
        Type::Group(group) => is_reference(&group.elem),
        Type::Paren(paren) => is_reference(&paren.elem),
        Type::Reference(reference) => reference
            .lifetime
            .as_ref()
            .is_none_or(|lifetime| lifetime.ident != "static"),
        _ => false,
    }
}

/// Whether one of the names stands anywhere in `tokens`.
pub(crate) fn mentions(tokens: impl ToTokens, names: &BTreeSet<String>) -> bool {
    let mut found = Names::default();
    found.add(tokens.into_token_stream());
    !found.0.is_disjoint(names)
}

/// Names that patterns bind or that stand in tokens.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn add(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    self.0.insert(ident.to_string());
                }
                TokenTree::Group(group) => self.add(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_pat_ident(&mut self, pattern: &'a PatIdent) {
        self.0.insert(pattern.ident.to_string());
        visit::visit_pat_ident(self, pattern);
    }
}

/// Names that the body uses as values, and those that it may give a meaning of its own.
#[derive(Default)]
struct Uses {
    used: Vec<(String, Span)>,
    bound: BTreeSet<String>,
}

impl Uses {
    fn bind(&mut self, tokens: TokenStream) {
        let mut names = Names::default();
        names.add(tokens);
        names.0.remove("self");
        self.bound.append(&mut names.0);
    }

    fn visit_argument(&mut self, argument: &Expr) {
        match argument {
            // The `name = value` of a format.
            Expr::Assign(assign) => {
                self.bind(assign.left.to_token_stream());
                self.visit_expr(&assign.right);
            }
            other => self.visit_expr(other),
        }
    }
}

impl<'a> Visit<'a> for Uses {
    fn visit_expr_path(&mut self, path: &'a ExprPath) {
        if let Some(name) = path.path.get_ident() {
            let text = name.to_string();
            if path.qself.is_none() && self.used.iter().all(|(used, _)| *used != text) {
                self.used.push((text, name.span()));
            }
        }
    }

    fn visit_pat_ident(&mut self, pattern: &'a PatIdent) {
        self.bound.insert(pattern.ident.to_string());
        visit::visit_pat_ident(self, pattern);
    }

    /// An item captures nothing, but can hide an argument.
    fn visit_item(&mut self, item: &'a Item) {
        self.bind(item.to_token_stream());
    }

    fn visit_macro(&mut self, call: &'a Macro) {
        let of_expressions = OF_EXPRESSIONS.iter().any(|name| call.path.is_ident(name));
        let parse = Punctuated::<Expr, Token![,]>::parse_terminated;
        match parse.parse2(call.tokens.clone()) {
            Ok(arguments) if of_expressions => {
                for argument in &arguments {
                    self.visit_argument(argument);
                }
            }
            Ok(_) | Err(_) => self.bind(call.tokens.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that are refused in `body`, of a method with `&self`, `name: &str` and `id: u64`.
    fn refused(body: &str) -> Vec<String> {
        let text = format!("async fn f(&self, name: &str, id: u64) -> Result<T, E> {{ {body} }}");
        let function: ItemFn = syn::parse_str(&text).unwrap();
        let errors = check(&function, &BTreeSet::new())
            .err()
            .into_iter()
            .flatten();
        let messages = errors.map(|error| error.to_string());
        messages
            .map(|message| message.split('`').nth(1).unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn references_are_refused_where_they_are_used() {
        assert_eq!(refused("self.load(id).await"), ["&self"]);
        assert_eq!(refused("load(name, name).await"), ["name"]);
        assert_eq!(
            refused("let load = || load(name); self.with(load)"),
            ["name", "&self"]
        );
        assert_eq!(refused("Ok(User { name, id })"), ["name"]);
        assert_eq!(refused("Ok(format!(\"{}\", name.len()))"), ["name"]);
        assert_eq!(refused("vec![1, self.count()]; Ok(id)"), ["&self"]);
    }

    #[test]
    fn what_may_mean_something_else_is_left_to_the_compiler() {
        let nothing: [&str; 0] = [];
        assert_eq!(refused("let name = \"x\"; load(name)"), nothing);
        assert_eq!(refused("load(|name| name + 1)"), nothing);
        assert_eq!(refused("let User { name, .. } = id; Ok(name)"), nothing);
        assert_eq!(refused("fn name() {} name()"), nothing);
        assert_eq!(refused("let_some!(name = id); Ok(name)"), nothing);
        assert_eq!(refused("Ok(format!(\"{name}\", name = id))"), nothing);
        assert_eq!(
            refused("impl T for X { fn f(&self) { self.g() } } Ok(id)"),
            nothing
        );
        assert_eq!(
            refused("Ok(user.name + self::name() + quote!(self))"),
            nothing
        );
    }

    #[test]
    fn statics_and_what_with_hands_over_can_be_used() {
        let check_of = |argument: &str| {
            let text = format!("async fn f({argument}) -> Result<T, E> {{ load(handed) }}");
            let function: ItemFn = syn::parse_str(&text).unwrap();
            let by_with = check(&function, &BTreeSet::from(["handed".to_owned()]));
            (check(&function, &BTreeSet::new()).is_ok(), by_with.is_ok())
        };
        assert_eq!(check_of("handed: &str"), (false, true));
        assert_eq!(check_of("handed: &'a str"), (false, true));
        assert_eq!(check_of("handed: &'static str"), (true, true));
        assert_eq!(check_of("&handed: &u64"), (true, true));
    }
}
