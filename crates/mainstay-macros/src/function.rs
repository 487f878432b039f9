//! What the function has to look like.

use syn::visit::{self, Visit};
use syn::{Error, Result, ReturnType, Signature, Type, TypeImplTrait};

/// Types that are seen to be no `Result`. Any other name may be an alias of one.
const NO_RESULTS: [&str; 23] = [
    "Arc", "Box", "Cow", "HashMap", "Option", "Pin", "Rc", "String", "Vec", "bool", "char", "f32",
    "f64", "i8", "i16", "i32", "i64", "isize", "str", "u8", "u16", "u32", "u64",
];

/// The type that the function returns, if a cached one can have this signature.
pub(crate) fn returned(signature: &Signature) -> Result<&Type> {
    if let Some(constness) = &signature.constness {
        let message = "a cached function asks its cache when it is called: remove `const`";
        return Err(Error::new_spanned(constness, message));
    }
    if let Some(unsafety) = &signature.unsafety {
        let message = "a cached function cannot be `unsafe`, as its body runs in a task of the \
                       cache: remove it, and mark what is unsafe in the body";
        return Err(Error::new_spanned(unsafety, message));
    }
    if signature.asyncness.is_none() {
        let message = "a cached function waits for its cache: make it an `async fn`";
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    result(signature)
}

fn result(signature: &Signature) -> Result<&Type> {
    let message = "a cached function returns a `Result<T, E>`, as its cache may fail: \
                   `E` is made from a `mainstay::Error`";
    let ReturnType::Type(_, returned) = &signature.output else {
        return Err(Error::new(signature.ident.span(), message));
    };
    if !may_be_result(returned) {
        return Err(Error::new_spanned(returned, message));
    }
    let mut opaque = Opaque(None);
    opaque.visit_type(returned);
    match opaque.0 {
        None => Ok(returned),
        Some(found) => Err(Error::new_spanned(
            found,
            "a cached value needs a type with a name: `impl Trait` has none",
        )),
    }
}

fn may_be_result(returned: &Type) -> bool {
    match returned {
        Type::Group(group) => may_be_result(&group.elem),
        Type::Paren(paren) => may_be_result(&paren.elem),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| !NO_RESULTS.iter().any(|name| last.ident == name)),
        Type::Macro(_) => true,
        _ => false,
    }
}

/// Finds an `impl Trait`.
struct Opaque<'a>(Option<&'a TypeImplTrait>);

impl<'a> Visit<'a> for Opaque<'a> {
    fn visit_type_impl_trait(&mut self, found: &'a TypeImplTrait) {
        self.0.get_or_insert(found);
        visit::visit_type_impl_trait(self, found);
    }
}
