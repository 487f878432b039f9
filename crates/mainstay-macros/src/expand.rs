//! From the annotated function to the one that asks the cache.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{AttrStyle, Block, Error, Ident, ItemFn, Result, Type};

use crate::arguments::{Arguments, Handed};
use crate::{body, function};

/// The function with its body as the loader; or errors, and what keeps them the only ones.
pub(crate) fn cached(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let message = format!("only an `async fn` with a body can be cached: {error}");
            let error = Error::new(error.span(), message).into_compile_error();
            return quote! { #error #item };
        }
    };
    let returned = match function::returned(&function.sig) {
        Ok(returned) => returned,
        Err(error) => {
            let error = error.into_compile_error();
            return quote! { #error #[allow(unused)] #item };
        }
    };
    match statements(arguments, &function, returned) {
        Ok(statements) => with_body(&function, &statements),
        Err(error) => {
            let error = error.into_compile_error();
            let function = with_body(&function, &quote! { ::core::unreachable!() });
            quote! { #error #[allow(unused)] #function }
        }
    }
}

fn with_body(function: &ItemFn, statements: &TokenStream) -> TokenStream {
    let ItemFn {
        attrs, vis, sig, ..
    } = function;
    let (outer, inner): (Vec<_>, Vec<_>) = attrs
        .iter()
        .partition(|attribute| matches!(attribute.style, AttrStyle::Outer));
    quote! { #(#outer)* #vis #sig { #(#inner)* #statements } }
}

/// The body of the expanded function.
fn statements(arguments: TokenStream, function: &ItemFn, returned: &Type) -> Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    let names = arguments.with.iter().map(|Handed { name, .. }| name);
    let values = arguments.with.iter().map(|Handed { value, .. }| value);
    body::check(function, &names.clone().map(ToString::to_string).collect())?;

    let [key, cache, load, answer] = ["key", "cache", "load", "answer"].map(hygienic);
    let parts = arguments.key.iter().map(|part| {
        quote_spanned! {at(part.span())=> &(#part) as &dyn ::core::fmt::Display}
    });
    let place = &arguments.cache;
    let borrowed = quote_spanned! {at(place.span())=> &(#place)};
    // An argument that lends the cache could not be moved into the loader.
    let shared = body::mentions(place, &body::owned(&function.sig)).then(|| {
        quote! { let #cache = &::core::clone::Clone::clone(#cache); }
    });
    let loader = loader(&function.block, returned);
    let method = if arguments.optional {
        quote!(get_or_load_optional)
    } else {
        quote!(get_or_load)
    };
    let call = quote_spanned! {at(place.span())=>
        ::mainstay::cache::Cache::#method(#cache, #key, #load).await
    };
    Ok(quote! {
        let #key = ::mainstay::Key::from_parts(&[#(#parts),*])?;
        let #cache: &::mainstay::cache::Cache<_> = #borrowed;
        #shared
        let #load = { #(let #names = #values;)* #loader };
        let #answer = #call;
        ::core::result::Result::Ok(#answer?)
    })
}

fn loader(body: &Block, returned: &Type) -> TokenStream {
    let typed = hygienic("typed");
    let statements = &body.stmts;
    quote_spanned! {at(body.brace_token.span.join())=>
        move || async move {
            // Gives `?` and `into` in the body their type.
            if let ::core::option::Option::Some(#typed) =
                ::core::option::Option::None::<#returned>
            {
                return #typed;
            }
            #(#statements)*
        }
    }
}

/// A name that neither the function's body nor the arguments see.
fn hygienic(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Where the compiler shows an error in what is generated, which stays hygienic.
fn at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: TokenStream, item: &TokenStream) -> String {
        cached(arguments, item).to_string()
    }

    #[test]
    fn all_but_the_body_stays_as_it_was() {
        let signature = quote! {
            /// Finds a user.
            #[must_use]
            pub(crate) async fn user<'a, T: Id>(users: &'a Cache<User>, id: T) -> Result<User>
            where
                T: Copy
        };
        let arguments = quote!(cache = users, key = id);
        let item = quote! { #signature { #![allow(unused)] load(id).await } };
        let expanded = expanded(arguments, &item);
        let start = format!("{signature} {{ # ! [allow (unused)] let key");
        assert!(expanded.starts_with(&start), "{expanded}");
        assert!(expanded.contains("load (id) . await"));
    }

    #[test]
    fn the_cache_is_cloned_only_out_of_an_argument_that_the_body_may_take() {
        let clones = |item| {
            let arguments = quote!(cache = app.users, key = id);
            expanded(arguments, &item).contains("Clone :: clone")
        };
        assert!(clones(
            quote! { async fn user(app: Arc<App>, id: u64) -> Result<User> { load(app) } }
        ));
        assert!(clones(
            quote! { async fn user(State(app): State<App>, id: u64) -> Result<User> { load(app) } }
        ));
        assert!(!clones(
            quote! { async fn user(app: &App, id: u64) -> Result<User> { load(id) } }
        ));
    }
}
