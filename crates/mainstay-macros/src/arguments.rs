//! The arguments of the attribute.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, Result, Token, parenthesized};

/// What stands in `#[mainstay::cached(…)]`.
pub(crate) struct Arguments {
    pub(crate) cache: Expr,
    pub(crate) key: Vec<Expr>,
    pub(crate) optional: bool,
    pub(crate) with: Vec<Handed>,
}

/// One `name = value` of `with(…)`: what the loader gets besides the function's arguments.
pub(crate) struct Handed {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut cache = None;
        let mut key = None;
        let mut optional = None;
        let mut with = None;
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            match name.to_string().as_str() {
                "cache" => set(&mut cache, &name, value(input)?)?,
                "key" => set(&mut key, &name, parts(value(input)?)?)?,
                "optional" => set(&mut optional, &name, ())?,
                "with" => set(&mut with, &name, handed(input)?)?,
                unknown => {
                    let message = format!(
                        "unknown argument `{unknown}`: there are `cache = …`, `key = …`, \
                         `optional` and `with(…)`"
                    );
                    return Err(Error::new(name.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let (cache, key) = required(cache, key)?;
        Ok(Self {
            cache,
            key,
            optional: optional.is_some(),
            with: with.unwrap_or_default(),
        })
    }
}

impl Parse for Handed {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self {
            name: input.parse()?,
            value: value(input)?,
        })
    }
}

fn set<T>(argument: &mut Option<T>, name: &Ident, value: T) -> Result<()> {
    match argument.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(
            name.span(),
            format!("`{name}` is there twice: keep one"),
        )),
    }
}

fn value(input: ParseStream<'_>) -> Result<Expr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn handed(input: ParseStream<'_>) -> Result<Vec<Handed>> {
    let inner;
    parenthesized!(inner in input);
    let handed = Punctuated::<Handed, Token![,]>::parse_terminated(&inner)?;
    Ok(handed.into_iter().collect())
}

/// The parts of the key: those of `[a, b]`, or the one that stands alone.
fn parts(key: Expr) -> Result<Vec<Expr>> {
    match key {
        Expr::Array(parts) if parts.elems.is_empty() => Err(Error::new_spanned(
            parts,
            "a key has at least one part: for one value in all, name it, as in `key = \"all\"`",
        )),
        Expr::Array(parts) => Ok(parts.elems.into_iter().collect()),
        Expr::Tuple(tuple) => Err(Error::new_spanned(
            tuple,
            "write the parts of the key in brackets: `key = [a, b]`",
        )),
        part => Ok(vec![part]),
    }
}

fn required<C, K>(cache: Option<C>, key: Option<K>) -> Result<(C, K)> {
    let missing = match (cache, key) {
        (Some(cache), Some(key)) => return Ok((cache, key)),
        (None, Some(_)) => "`cache = …` is missing: the cache that the values are kept in",
        (Some(_), None) => {
            "`key = …` is missing: all that the value depends on, as in `key = id` or \
             `key = [tenant, id]`"
        }
        (None, None) => {
            "`cache = …` and `key = …` are missing, as in \
             `#[mainstay::cached(cache = users, key = id)]`"
        }
    };
    Err(Error::new(Span::call_site(), missing))
}
