//! Names that a programmer or operator chooses.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};

/// The name of a cache, channel, limit policy, lock or session store.
///
/// 1 to 128 letters, digits and `.` `_` `-` `/`, so that it reads the same in a key, a URL,
/// a metric and a shell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the character that is not allowed.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        check("name", text.as_ref()).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

/// A prefix that keeps the keys of one application or tenant apart from all others.
///
/// The same characters as in a [`Name`]. Without one, keys start with their area
/// (`lock:report`), as services that follow the plain Redis recipes write them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Checks a namespace.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the character that is not allowed.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        check("namespace", text.as_ref()).map(Self)
    }

    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

fn check(what: &str, text: &str) -> Result<Arc<str>> {
    if text.is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    if text.len() > Name::MAX_BYTES {
        return Err(Error::invalid(format!(
            "{what} is longer than {} bytes",
            Name::MAX_BYTES
        )));
    }
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    match text.chars().find(|c| !allowed(*c)) {
        None => Ok(text.into()),
        Some(wrong) => Err(Error::invalid(format!(
            "{what} holds {wrong:?}: letters, digits and . _ - / are allowed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_character_is_named() {
        for (text, wrong) in [
            ("a{b}", "'{'"),
            ("a:b", "':'"),
            ("a\0", "'\\0'"),
            ("a b", "' '"),
        ] {
            let message = Name::new(text).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("name holds {wrong}")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_long_name_is_refused() {
        let message = Namespace::new("n".repeat(65_536)).unwrap_err().to_string();
        assert_eq!(message, "namespace is longer than 128 bytes");
    }
}
