//! API keys, known by their hash only.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 of an API key, so that a configuration file holds no key that works.
///
/// Written as 64 hexadecimal digits, as `printf %s "$KEY" | sha256sum` prints them. Keys must be
/// random (`openssl rand -hex 32`): a plain hash does not protect a guessable one.
///
/// ```
/// use mainstay_server::ApiKeyHash;
///
/// let hash: ApiKeyHash =
///     "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".parse()?;
/// assert_eq!(hash, ApiKeyHash::of("foo"));
/// # Ok::<(), mainstay_server::InvalidApiKeyHash>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    /// Hashes a key.
    pub fn of(key: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(key.as_ref()).into())
    }

    /// Whether any of `known` is the hash of `key`; takes the same time whichever it is.
    pub(crate) fn any_matches(known: &[Self], key: &[u8]) -> bool {
        let given = Self::of(key);
        let found = known.iter().fold(Choice::from(0), |found, hash| {
            found | hash.0.ct_eq(&given.0)
        });
        found.into()
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(***)")
    }
}

/// The text is not a SHA-256 in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key hash is 64 hexadecimal digits: the SHA-256 of the key")]
pub struct InvalidApiKeyHash;

impl FromStr for ApiKeyHash {
    type Err = InvalidApiKeyHash;

    fn from_str(text: &str) -> Result<Self, InvalidApiKeyHash> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidApiKeyHash);
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .ok_or(InvalidApiKeyHash)?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in [
            "",
            "foo",
            &"g".repeat(64),
            &"0".repeat(63),
            &"+1".repeat(32),
        ] {
            assert_eq!(text.parse::<ApiKeyHash>(), Err(InvalidApiKeyHash), "{text}");
        }
    }

    #[test]
    fn any_of_several_keys_matches_and_no_other() {
        let known = [ApiKeyHash::of("one"), ApiKeyHash::of("two")];
        assert!(ApiKeyHash::any_matches(&known, b"two"));
        assert!(!ApiKeyHash::any_matches(&known, b"three"));
        assert!(!ApiKeyHash::any_matches(&[], b""));
    }
}
