//! The id of a session, and what is stored in its place.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::random;

const TAG_BYTES: usize = 12;
const TAG_CHARS: usize = TAG_BYTES / 3 * 4;
const RANDOM_BYTES: usize = 24;
const ID_BYTES: usize = TAG_BYTES + RANDOM_BYTES;
const HASH_BYTES: usize = 24;

/// The id of a session: whoever has it is the user.
///
/// 48 characters of base64url: a tag of 12 bytes that is the same for all sessions of a user,
/// then 24 random bytes. It has no `Display`, and `Debug` hides it, so that it does not reach a
/// log by accident.
///
/// ```
/// use mainstay::session::SessionId;
///
/// let text = "A".repeat(48);
/// let id: SessionId = text.parse()?;
/// assert_eq!(id.expose(), text);
/// assert_eq!(format!("{id:?}"), "SessionId(***)");
/// assert!("AAAA".parse::<SessionId>().is_err());
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Length of the text.
    pub const CHARS: usize = ID_BYTES / 3 * 4;

    /// Reads an id as [`expose`](Self::expose) gives it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for anything that cannot be an id; the message does
    /// not show the input.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::invalid("session id is not 48 characters of base64url");
        decode(text).ok_or_else(malformed)?;
        Ok(Self(text.into()))
    }

    /// The text, for a cookie or a token. Keep it out of logs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A new id for the user with this tag.
    pub(super) fn random(tag: &UserTag) -> Self {
        let random = URL_SAFE_NO_PAD.encode(random::bytes::<RANDOM_BYTES>());
        Self(format!("{}{random}", tag.0).into())
    }

    /// The id that follows from this one by `derivation`, which alone tells nobody anything: it is
    /// HMAC-SHA-256 under this id, cut to as many bytes as are random.
    pub(super) fn successor(&self, derivation: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes())
            .expect("invariant: HMAC takes a key of any length");
        mac.update(b"mainstay session successor");
        mac.update(derivation.as_bytes());
        let random = encode_start::<RANDOM_BYTES>(&mac.finalize().into_bytes());
        Self(format!("{}{random}", self.tag().0).into())
    }

    pub(super) fn tag(&self) -> UserTag {
        let tag = self.0.get(..TAG_CHARS);
        UserTag(tag.expect("invariant: an id begins with a tag").to_owned())
    }

    /// What is stored in place of the id: the start of SHA-256 over its 36 bytes.
    pub(super) fn hash(&self) -> String {
        encode_start::<HASH_BYTES>(&Sha256::digest(self.bytes()))
    }

    fn bytes(&self) -> [u8; ID_BYTES] {
        decode(&self.0).expect("invariant: an id is base64url")
    }
}

/// The bytes of an id; `None` for text that is none.
fn decode(text: &str) -> Option<[u8; ID_BYTES]> {
    let mut bytes = [0; ID_BYTES];
    let decoded = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (decoded == ID_BYTES).then_some(bytes)
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(***)")
    }
}

/// Stands for a user in keys: all keys of one user share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserTag(String);

impl UserTag {
    /// For a session of nobody.
    pub(super) fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::bytes::<TAG_BYTES>()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Derives tags: HMAC-SHA-256 (RFC 2104) of the user, cut to 12 bytes.
#[derive(Clone)]
pub(super) struct Tagger(Hmac<Sha256>);

impl Tagger {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("invariant: HMAC takes a key of any length"))
    }

    pub(super) fn tag(&self, user: &str) -> UserTag {
        let mut mac = self.0.clone();
        mac.update(user.as_bytes());
        UserTag(encode_start::<TAG_BYTES>(&mac.finalize().into_bytes()))
    }
}

/// Whether the text can be the hash of an id, as listed.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == HASH_BYTES / 3 * 4 && URL_SAFE_NO_PAD.decode(text).is_ok()
}

fn encode_start<const N: usize>(digest: &[u8]) -> String {
    let start = digest
        .first_chunk::<N>()
        .expect("invariant: a SHA-256 digest is 32 bytes");
    URL_SAFE_NO_PAD.encode(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_keeps_its_tag_and_hash() -> Result<()> {
        let tag = Tagger::new(b"secret").tag("ada");
        let id = SessionId::random(&tag);
        let read: SessionId = id.expose().parse()?;
        assert_eq!(id.expose().len(), SessionId::CHARS);
        assert_eq!((read.tag(), read.hash()), (tag, id.hash()));
        assert!(is_hash(&read.hash()));
        Ok(())
    }

    #[test]
    fn tag_and_hash_are_the_documented_digests() -> Result<()> {
        // printf %s ada | openssl dgst -sha256 -hmac secret -binary | head -c 12 | basenc --base64url
        assert_eq!(
            Tagger::new(b"secret").tag("ada").as_str(),
            "PDBIYUDif2-LCepp"
        );
        // head -c 36 /dev/zero | openssl dgst -sha256 -binary | head -c 24 | basenc --base64url
        let zeros = SessionId::parse(&"A".repeat(48))?;
        assert_eq!(zeros.hash(), "bbZf1Z_TVvZykUBXG1vNa7O4NJKhbhvw");
        Ok(())
    }

    #[test]
    fn a_tag_depends_on_the_user_and_the_secret() {
        let tag = |secret: &[u8], user| Tagger::new(secret).tag(user);
        assert_eq!(tag(b"s", "ada"), tag(b"s", "ada"));
        assert_ne!(tag(b"s", "ada"), tag(b"s", "bob"));
        assert_ne!(tag(b"s", "ada"), tag(b"t", "ada"));
        assert_ne!(tag(b"", "ada"), tag(b"t", "ada"));
    }

    #[test]
    fn text_that_is_no_id_is_refused_without_being_shown() {
        let long = "x".repeat(8192);
        let wrong = format!("{}+", "A".repeat(47));
        let wide = "é".repeat(24);
        for text in ["", "secret", long.as_str(), wrong.as_str(), wide.as_str()] {
            let message = SessionId::parse(text).unwrap_err().to_string();
            assert_eq!(message, "session id is not 48 characters of base64url");
        }
    }

    #[test]
    fn a_successor_follows_from_the_id_and_the_derivation() {
        let id = SessionId::random(&Tagger::new(b"").tag("ada"));
        let successor = id.successor("x");
        assert_eq!(successor, id.successor("x"));
        assert_eq!(successor.tag(), id.tag());
        assert_eq!(successor.expose().len(), SessionId::CHARS);
        assert_ne!(successor, id.successor("y"));
        let other = SessionId::random(&id.tag());
        assert_ne!(successor, other.successor("x"));
    }

    #[test]
    fn debug_hides_the_id() {
        let id = SessionId::random(&Tagger::new(b"").tag("ada"));
        assert_eq!(format!("{id:?}"), "SessionId(***)");
    }
}
