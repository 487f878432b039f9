//! The text that a client carries: an id, signed where keys are given.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::SessionId;
use crate::error::{Error, Result};

const KEY_BYTES_MIN: usize = 32;
const MAC_BYTES: usize = 18;
const MAC_CHARS: usize = MAC_BYTES / 3 * 4;

/// Signs ids, so that what nobody issued is refused without asking the store.
///
/// The first key signs, all of them are accepted: to change the key put the new one in front, and
/// take the old one away when the sessions that it signed have ended.
#[derive(Clone, Default)]
pub(super) struct KeyRing(Vec<Hmac<Sha256>>);

impl KeyRing {
    pub(super) fn new<K: AsRef<[u8]>>(keys: &[K]) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::invalid(
                "no key to sign session ids with: give at least one of 32 bytes or more",
            ));
        }
        let macs = keys.iter().map(|key| {
            let key = key.as_ref();
            if key.len() < KEY_BYTES_MIN {
                return Err(Error::invalid(format!(
                    "key to sign session ids with has {} bytes: at least {KEY_BYTES_MIN} are needed",
                    key.len()
                )));
            }
            let mac = Hmac::new_from_slice(key);
            Ok(mac.expect("invariant: HMAC takes a key of any length"))
        });
        macs.collect::<Result<_>>().map(Self)
    }

    /// The id as text, with its signature.
    pub(super) fn sign(&self, id: &SessionId) -> String {
        let Some(key) = self.0.first() else {
            return id.expose().to_owned();
        };
        let code = over(key, id.expose()).finalize().into_bytes();
        let code = code
            .first_chunk::<MAC_BYTES>()
            .expect("invariant: HMAC-SHA-256 is 32 bytes");
        format!("{}{}", id.expose(), URL_SAFE_NO_PAD.encode(code))
    }

    /// The id in a text that one of the keys has signed.
    pub(super) fn open(&self, text: &str) -> Result<SessionId> {
        if self.0.is_empty() {
            return SessionId::parse(text);
        }
        let refused = || Error::invalid("session id is not signed by a key that is known here");
        if text.len() != SessionId::CHARS + MAC_CHARS {
            return Err(refused());
        }
        let (id, code) = text
            .split_at_checked(SessionId::CHARS)
            .ok_or_else(refused)?;
        let mut mac = [0; MAC_BYTES];
        let decoded = URL_SAFE_NO_PAD.decode_slice(code, &mut mac);
        if decoded != Ok(MAC_BYTES) {
            return Err(refused());
        }
        let is_signed = self
            .0
            .iter()
            .any(|key| over(key, id).verify_truncated_left(&mac).is_ok());
        if is_signed {
            SessionId::parse(id)
        } else {
            Err(refused())
        }
    }
}

fn over(key: &Hmac<Sha256>, id: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(b"mainstay session");
    mac.update(id.as_bytes());
    mac
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    fn id() -> SessionId {
        SessionId::parse(&"A".repeat(48)).unwrap()
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        // printf 'mainstay session%s' AA..A | openssl dgst -sha256 -mac hmac -macopt hexkey:01..01 \
        //   -binary | head -c 18 | basenc --base64url
        let ring = KeyRing::new(&[OLD]).unwrap();
        let token = ring.sign(&id());
        assert_eq!(token.len(), 72);
        assert_eq!(&token[48..], "5vpgpHSLV3o8bc6m5kMYHkbX");
    }

    #[test]
    fn a_key_can_be_changed_while_sessions_live() {
        let (old, both) = (
            KeyRing::new(&[OLD]).unwrap(),
            KeyRing::new(&[NEW, OLD]).unwrap(),
        );
        let new = KeyRing::new(&[NEW]).unwrap();
        let token = old.sign(&id());
        assert_eq!(both.open(&token).unwrap(), id());
        assert_eq!(new.open(&both.sign(&id())).unwrap(), id());
        assert!(new.open(&token).is_err());
        assert!(old.open(id().expose()).is_err());
        assert!(KeyRing::default().open(&token).is_err());
    }

    #[test]
    fn every_bit_matters() {
        let ring = KeyRing::new(&[OLD]).unwrap();
        let token = ring.sign(&id());
        for bit in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = String::from_utf8(bytes) {
                let message = ring.open(&text).unwrap_err().to_string();
                assert_eq!(
                    message,
                    "session id is not signed by a key that is known here"
                );
            }
        }
    }

    #[test]
    fn weak_keys_are_refused() {
        let error = KeyRing::new(&["secret"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "key to sign session ids with has 6 bytes: at least 32 are needed"
        );
        assert!(KeyRing::new::<&str>(&[]).is_err());
    }
}
