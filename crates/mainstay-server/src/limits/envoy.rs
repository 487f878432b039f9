//! Which policies decide on a descriptor of Envoy's.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay::Key;
use sha2::{Digest, Sha256};

use crate::ServeError;

/// A rule for the descriptors of a domain: what a descriptor must be, and which policies decide on it.
///
/// Each entry is written `key=value`, `key=start*`, or `key` alone, for any value. A rule fits a
/// descriptor that has the same entries in the same order, and no others. What is counted apart is what
/// the rule leaves open: with `path=/login` and `remote_address`, each address has its own count.
///
/// ```
/// use mainstay_server::EnvoyRule;
///
/// let rule = EnvoyRule::new("edge", &["path=/login", "remote_address"], &["login"])?;
/// assert_eq!(rule.to_string(), "edge: path=/login, remote_address");
/// # Ok::<(), mainstay_server::ServeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyRule {
    domain: String,
    entries: Vec<Entry>,
    limits: Vec<String>,
    takes_rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: String,
    value: Wanted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Any,
    Exactly(String),
    StartingWith(String),
}

impl EnvoyRule {
    /// A rule; without policies, what it fits is not limited.
    ///
    /// # Errors
    /// [`ServeError::Config`] when there is no domain, no entry, or an entry without a key.
    pub fn new(
        domain: &str,
        descriptor: &[impl AsRef<str>],
        limits: &[impl AsRef<str>],
    ) -> Result<Self, ServeError> {
        let refused = |why: &str| ServeError::Config(format!("an Envoy rule {why}"));
        if domain.is_empty() {
            return Err(refused("has no domain: write the one that Envoy sends"));
        }
        if descriptor.is_empty() {
            return Err(refused(
                "has no descriptor: write its entries, such as \"remote_address\"",
            ));
        }
        let entries = descriptor.iter().map(|text| Entry::parse(text.as_ref()));
        let entries: Option<Vec<_>> = entries.collect();
        let Some(entries) = entries else {
            return Err(refused(
                "has an entry without a key: write key, key=value or key=start*",
            ));
        };
        Ok(Self {
            domain: domain.to_owned(),
            entries,
            limits: limits.iter().map(|name| name.as_ref().to_owned()).collect(),
            takes_rest: false,
        })
    }

    /// Hits that are over a limit use up what is left of it.
    ///
    /// For work that is reported when it is done, as the tokens of an answer are at the end of a stream:
    /// it took place whether it fits or not, and if it were not counted the next would begin as if there
    /// was room.
    #[must_use]
    pub fn taking_rest(self) -> Self {
        Self {
            takes_rest: true,
            ..self
        }
    }

    pub(crate) fn takes_rest(&self) -> bool {
        self.takes_rest
    }

    pub(crate) fn limits(&self) -> &[String] {
        &self.limits
    }

    /// The values that it leaves open, if it fits.
    pub(crate) fn fits<'a>(
        &self,
        domain: &str,
        entries: &[(&'a str, &'a str)],
    ) -> Option<Vec<&'a str>> {
        if domain != self.domain || entries.len() != self.entries.len() {
            return None;
        }
        let mut open = Vec::new();
        for (wanted, (key, value)) in self.entries.iter().zip(entries) {
            let fits = match &wanted.value {
                Wanted::Any => true,
                Wanted::Exactly(exactly) => value == exactly,
                Wanted::StartingWith(start) => value.starts_with(start),
            };
            if !fits || wanted.key != *key {
                return None;
            }
            if !matches!(wanted.value, Wanted::Exactly(_)) {
                open.push(*value);
            }
        }
        Some(open)
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (key, value) = match text.split_once('=') {
            None => (text, Wanted::Any),
            Some((key, value)) => match value.strip_suffix('*') {
                Some(start) => (key, Wanted::StartingWith(start.to_owned())),
                None => (key, Wanted::Exactly(value.to_owned())),
            },
        };
        let key = key.to_owned();
        (!key.is_empty()).then_some(Self { key, value })
    }
}

impl fmt::Display for EnvoyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.domain)?;
        for (index, entry) in self.entries.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let key = &entry.key;
            match &entry.value {
                Wanted::Any => write!(f, "{comma}{key}"),
                Wanted::Exactly(value) => write!(f, "{comma}{key}={value}"),
                Wanted::StartingWith(start) => write!(f, "{comma}{key}={start}*"),
            }?;
        }
        Ok(())
    }
}

/// Whom these values count for; the domain where there are none.
///
/// What is no key, because it is too long, say, counts by its digest: a client that chooses the value
/// must not get around the limit by it.
pub(crate) fn subject(domain: &str, open: &[&str]) -> Key {
    let values = if open.is_empty() { &[domain] } else { open };
    let parts: Vec<_> = values.iter().map(|it| it as &dyn fmt::Display).collect();
    Key::from_parts(&parts).unwrap_or_else(|_too_long_or_no_text| {
        let mut hash = Sha256::new();
        for value in values {
            hash.update(value.len().to_be_bytes());
            hash.update(value);
        }
        let digest = URL_SAFE_NO_PAD.encode(hash.finalize());
        Key::new(format!("sha256-{digest}")).expect("invariant: it is short and plain")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open<'a>(
        rule: &[&str],
        domain: &str,
        entries: &[(&'a str, &'a str)],
    ) -> Option<Vec<&'a str>> {
        let none: [&str; 0] = [];
        EnvoyRule::new("edge", rule, &none)
            .unwrap()
            .fits(domain, entries)
    }

    #[test]
    fn a_rule_fits_the_whole_descriptor_in_its_order() {
        let (path, address) = (("path", "/login"), ("remote_address", "192.0.2.1"));
        let rule = ["path=/login", "remote_address"];
        assert_eq!(
            open(&rule, "edge", &[path, address]),
            Some(vec!["192.0.2.1"])
        );
        assert_eq!(open(&rule, "inner", &[path, address]), None);
        assert_eq!(open(&rule, "edge", &[address, path]), None);
        assert_eq!(open(&rule, "edge", &[path]), None);
        assert_eq!(open(&rule, "edge", &[("path", "/logins"), address]), None);
        assert_eq!(
            open(&["path=/log*", "remote_address"], "edge", &[path, address]),
            Some(vec!["/login", "192.0.2.1"])
        );
        assert_eq!(open(&["path=/login"], "edge", &[path]), Some(vec![]));
    }

    #[test]
    fn whom_values_count_for_is_theirs_alone() {
        assert_eq!(subject("edge", &[]).as_str(), "edge");
        assert_eq!(subject("edge", &["a", "b:c"]).as_str(), "a:b%3Ac");
        let long = "x".repeat(5_000);
        let [one, two] = [&[long.as_str(), "y"][..], &["", long.as_str()]];
        let (one, two) = (subject("edge", one), subject("edge", two));
        assert!(one.as_str().starts_with("sha256-") && two.as_str().starts_with("sha256-"));
        assert_ne!(one, two);
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_told() {
        let none: [&str; 0] = [];
        for (domain, descriptor, expected) in [
            ("", &["a"][..], "no domain"),
            ("edge", &[], "no descriptor"),
            ("edge", &["=x"], "an entry without a key"),
        ] {
            let error = EnvoyRule::new(domain, descriptor, &none).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
