//! The function as it is compiled: key first, then the loader, then the cache.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemFn, Result};

use crate::arguments::Arguments;
use crate::function::{check, check_borrows, returned};

pub(crate) fn expand(arguments: &Arguments, function: ItemFn) -> Result<TokenStream> {
    check(&function)?;
    let Arguments {
        cache,
        key,
        with,
        optional,
    } = arguments;
    let names: Vec<_> = with.iter().map(|binding| &binding.name).collect();
    let values = with.iter().map(|binding| &binding.value);
    check_borrows(&function, &names)?;
    let call = if *optional {
        quote!(get_or_load_optional)
    } else {
        quote!(get_or_load)
    };
    let outcome = returned(&function)?.clone();
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    Ok(quote! {
        #(#attrs)*
        #vis #sig {
            let __key = ::mainstay::key![#(#key),*]?;
            let __cache = ::std::clone::Clone::clone(&#cache);
            #(let #names = #values;)*
            let __loaded = __cache.#call(__key, move || async move {
                let __outcome: #outcome = async move #block.await;
                __outcome
            });
            __loaded.await.map_err(::std::convert::From::from)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &str, function: &str) -> String {
        let expanded = syn::parse_str::<Arguments>(arguments)
            .and_then(|arguments| expand(&arguments, syn::parse_str(function)?));
        expanded.map_or_else(|error| error.to_string(), |tokens| tokens.to_string())
    }

    #[test]
    fn misuse_says_what_to_do() {
        let function = "async fn user(users: &Cache<u8>, id: u64) -> Result<u8> { Ok(1) }";
        let arguments = "cache = *users, key = id";
        for (arguments, function, said) in [
            (
                "cache = users",
                function,
                "`key` is missing: write #[mainstay::cached(cache",
            ),
            ("key = id", function, "`cache` is missing"),
            (
                "cache = users, cache = users",
                function,
                "`cache` is given twice",
            ),
            (
                "cache = users, key = []",
                function,
                "a key has at least one part",
            ),
            (
                "cache = users, key = id, ttl = 5",
                function,
                "unknown argument `ttl`: known are cache, key, with, optional",
            ),
            (
                arguments,
                "fn user(id: u64) -> Result<u8> { Ok(1) }",
                "a cached function is async",
            ),
            (arguments, "async fn user(id: u64) { }", "returns a Result"),
            (
                arguments,
                "async fn user(id: u64) -> u8 { 1 }",
                "returns a Result",
            ),
            (
                arguments,
                "async unsafe fn user(id: u64) -> Result<u8> { Ok(1) }",
                "cannot be unsafe",
            ),
            (
                arguments,
                "async fn user(&self, id: u64) -> Result<u8> { Ok(self.first) }",
                "cannot borrow `self`: bind what it needs",
            ),
            (
                arguments,
                "async fn user(db: &Db, id: u64) -> Result<u8> { db.load(id).await }",
                "cannot borrow `db`",
            ),
        ] {
            let refusal = refusal(arguments, function);
            assert!(refusal.contains(said), "{arguments}: {refusal}");
        }
    }

    #[test]
    fn a_reference_that_is_bound_anew_may_be_used() {
        let expanded = refusal(
            "cache = users, key = id, with(db = db.clone())",
            "async fn user(db: &Db, id: u64) -> Result<u8> { db.load(id).await }",
        );
        assert!(expanded.contains("let db = db . clone ()"), "{expanded}");
    }
}
