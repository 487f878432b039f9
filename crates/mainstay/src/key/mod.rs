//! Names and keys that callers supply, and the keys that mainstay writes.
//!
//! [`Name`] is chosen by the programmer (a cache, a channel, a lock) and is strict.
//! [`Key`] carries data (a user id, an address) and is escaped: no part that a caller supplies
//! can reach another part's key or choose its own Cluster slot.

mod layout;
mod name;

pub(crate) use layout::Keyspace;
pub use layout::StoreKey;
pub use name::{Name, Namespace};

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::error::{Error, Result};

/// A checked key of a cache entry, a user, or the subject of a limit.
///
/// Text of 1 to 1,024 bytes without control characters. `{`, `}`, `:` and `%` are
/// percent-escaped; parts that [`key!`](crate::key!) joins are separated by a plain `:`.
///
/// ```
/// use mainstay::{Key, key};
///
/// assert_eq!(key!["tenant", 7, "sensor", "a:b"]?.as_str(), "tenant:7:sensor:a%3Ab");
/// assert_eq!(Key::new("ip:::1")?.as_str(), "ip%3A%3A%3A1");
/// assert!(Key::new("nul\0").is_err());
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The longest key, in bytes, before escaping.
    pub const MAX_BYTES: usize = 1024;

    /// Makes a key of one part.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the text is empty, longer than
    /// [`Key::MAX_BYTES`] or holds a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        Self::from_parts(&[&text.as_ref()])
    }

    /// Makes a key of several parts; [`key!`](crate::key!) is the short form.
    ///
    /// # Errors
    /// As [`Key::new`], for each part; the limit counts all parts together.
    pub fn from_parts(parts: &[&dyn fmt::Display]) -> Result<Self> {
        let mut escaped = String::new();
        let mut bytes = 0;
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            text.clear();
            write!(text, "{part}").map_err(|_| Error::invalid("a part of the key has no text"))?;
            bytes += text.len();
            if text.is_empty() {
                return Err(Error::invalid("key is empty, or has an empty part"));
            }
            if bytes > Self::MAX_BYTES {
                return Err(Error::invalid(format!(
                    "key is longer than {} bytes",
                    Self::MAX_BYTES
                )));
            }
            if index > 0 {
                escaped.push(':');
            }
            escape_into(&mut escaped, &text)?;
        }
        if escaped.is_empty() {
            return Err(Error::invalid("key is empty"));
        }
        Ok(Self(escaped))
    }

    /// The escaped text, as it stands in the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn escape_into(out: &mut String, text: &str) -> Result<()> {
    for character in text.chars() {
        match character {
            '%' => out.push_str("%25"),
            ':' => out.push_str("%3A"),
            '{' => out.push_str("%7B"),
            '}' => out.push_str("%7D"),
            control if control.is_control() => {
                return Err(Error::invalid(format!(
                    "key holds the control character U+{:04X}: keys are plain text",
                    u32::from(control)
                )));
            }
            plain => out.push(plain),
        }
    }
    Ok(())
}

/// What can be used as a key: a [`Key`], or text that is checked on the way.
pub trait AsKey {
    /// The checked key.
    ///
    /// # Errors
    /// As [`Key::new`].
    fn as_key(&self) -> Result<Cow<'_, Key>>;

    /// The text of the checked key; without a copy where nothing has to be escaped.
    #[doc(hidden)]
    fn key_text(&self) -> Result<Cow<'_, str>> {
        Ok(match self.as_key()? {
            Cow::Borrowed(key) => Cow::Borrowed(key.as_str()),
            Cow::Owned(key) => Cow::Owned(key.0),
        })
    }
}

impl AsKey for Key {
    fn as_key(&self) -> Result<Cow<'_, Key>> {
        Ok(Cow::Borrowed(self))
    }
}

impl AsKey for str {
    fn as_key(&self) -> Result<Cow<'_, Key>> {
        Key::new(self).map(Cow::Owned)
    }

    fn key_text(&self) -> Result<Cow<'_, str>> {
        let is_plain =
            |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'%' | b':' | b'{' | b'}');
        if (1..=Key::MAX_BYTES).contains(&self.len()) && self.bytes().all(is_plain) {
            return Ok(Cow::Borrowed(self));
        }
        Key::new(self).map(|key| Cow::Owned(key.0))
    }
}

impl AsKey for String {
    fn as_key(&self) -> Result<Cow<'_, Key>> {
        self.as_str().as_key()
    }

    fn key_text(&self) -> Result<Cow<'_, str>> {
        self.as_str().key_text()
    }
}

impl<T: AsKey + ?Sized> AsKey for &T {
    fn as_key(&self) -> Result<Cow<'_, Key>> {
        (**self).as_key()
    }

    fn key_text(&self) -> Result<Cow<'_, str>> {
        (**self).key_text()
    }
}

/// Builds a checked [`Key`] of several parts, each of which implements `Display`.
///
/// ```
/// let key = mainstay::key!["tenant", "acme", "sensor", 12]?;
/// assert_eq!(key.as_str(), "tenant:acme:sensor:12");
/// # Ok::<(), mainstay::Error>(())
/// ```
#[macro_export]
macro_rules! key {
    ($($part:expr),+ $(,)?) => {{
        // Bound to a name: the parts must not live on while a call with this key is awaited.
        let key = $crate::Key::from_parts(&[$(&$part as &dyn ::std::fmt::Display),+]);
        key
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_parts_never_make_the_same_key() {
        let joined = key!["a", "b"].map(|k| k.0).ok();
        assert_ne!(joined, Key::new("a:b").map(|k| k.0).ok());
        assert_ne!(
            Key::new("a%3Ab").map(|k| k.0).ok(),
            Key::new("a:b").map(|k| k.0).ok()
        );
    }

    #[test]
    fn a_call_with_a_key_made_in_place_can_move_between_threads() {
        fn between_threads(_: impl Send) {}
        let id = std::hint::black_box(7);
        between_threads(async move {
            std::future::ready(key!["customer", id]?).await;
            Ok::<_, Error>(())
        });
    }

    #[test]
    fn a_caller_cannot_choose_a_slot() {
        let key = Key::new("{user}").map(|k| k.0).ok();
        assert_eq!(key.as_deref(), Some("%7Buser%7D"));
    }

    #[test]
    fn what_is_wrong_with_a_key_is_named() {
        let message = |text: &str| Key::new(text).unwrap_err().to_string();
        assert_eq!(message(""), "key is empty, or has an empty part");
        assert_eq!(
            message(&"k".repeat(65_536)),
            "key is longer than 1024 bytes"
        );
        assert_eq!(
            message("a\0"),
            "key holds the control character U+0000: keys are plain text"
        );
    }
}
