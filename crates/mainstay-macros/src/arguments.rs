//! What stands in the parentheses of the attribute.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, Result, Token, bracketed, parenthesized, token};

const KNOWN: &str = "cache, key, with, optional";

/// `cache = EXPR, key = EXPR | [EXPR, ..], with(NAME = EXPR, ..), optional`
pub(crate) struct Arguments {
    pub(crate) cache: Expr,
    pub(crate) key: Vec<Expr>,
    pub(crate) with: Vec<Binding>,
    pub(crate) optional: bool,
}

/// `NAME = EXPR` of `with`.
pub(crate) struct Binding {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

impl Parse for Binding {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        let value = input.parse()?;
        Ok(Self { name, value })
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut cache, mut key, mut with, mut optional) = (None, None, Vec::new(), false);
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            match name.to_string().as_str() {
                "cache" => set(&name, &mut cache, after_equals(input)?)?,
                "key" => set(&name, &mut key, parts(input)?)?,
                "with" => {
                    let bindings;
                    parenthesized!(bindings in input);
                    let parsed = Punctuated::<Binding, Token![,]>::parse_terminated(&bindings)?;
                    with.extend(parsed);
                }
                "optional" => optional = true,
                _ => {
                    let message = format!("unknown argument `{name}`: known are {KNOWN}");
                    return Err(Error::new(name.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = |what: &str| {
            let message =
                format!("`{what}` is missing: write #[mainstay::cached(cache = users, key = id)]");
            Error::new(Span::call_site(), message)
        };
        Ok(Self {
            cache: cache.ok_or_else(|| missing("cache"))?,
            key: key.ok_or_else(|| missing("key"))?,
            with,
            optional,
        })
    }
}

fn set<V>(name: &Ident, slot: &mut Option<V>, value: V) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new(name.span(), format!("`{name}` is given twice")));
    }
    Ok(())
}

fn after_equals(input: ParseStream<'_>) -> Result<Expr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// One part of a key, or several in brackets.
fn parts(input: ParseStream<'_>) -> Result<Vec<Expr>> {
    input.parse::<Token![=]>()?;
    if !input.peek(token::Bracket) {
        return Ok(vec![input.parse()?]);
    }
    let inside;
    let bracket = bracketed!(inside in input);
    let parts = Punctuated::<Expr, Token![,]>::parse_terminated(&inside)?;
    if parts.is_empty() {
        let message = "a key has at least one part: write key = [tenant, id]";
        return Err(Error::new(bracket.span.join(), message));
    }
    Ok(parts.into_iter().collect())
}
