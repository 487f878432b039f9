//! `#[mainstay::cached]`: the body of a function as the loader of a cache.
//!
//! Used through the library, which documents it.

mod arguments;
mod expand;
mod function;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// See `mainstay::cached`.
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as arguments::Arguments);
    let function = parse_macro_input!(item as syn::ItemFn);
    expand::expand(&arguments, function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
