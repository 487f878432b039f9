//! The attribute macro of `mainstay`, which re-exports it as `mainstay::cached` and documents it
//! there.

mod arguments;
mod body;
mod expand;
mod function;

use proc_macro::TokenStream;

/// Cancel safe, as the cache's call is: the load goes on without the caller.
#[proc_macro_attribute]
pub fn cached(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::cached(arguments.into(), &item.into()).into()
}
