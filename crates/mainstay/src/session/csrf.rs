//! Tokens against cross-site request forgery.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Session;
use crate::random;

const PAD_BYTES: usize = 12;
const MAC_BYTES: usize = 24;

impl<T> Session<T> {
    /// A token for a form or a header of this session, which no other site can know.
    ///
    /// Each call gives another (so that compression tells nothing of it); all are valid as long as the
    /// session, whatever becomes of its id. 48 characters of base64url: 12 random bytes, then the start of
    /// HMAC-SHA-256 over them under a secret of the session: the signed double-submit pattern of OWASP,
    /// with the session in place of the second cookie.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = mainstay::Mainstay::memory().sessions::<()>().build()?;
    /// let issued = sessions.create("ada", &()).await?;
    /// let session = sessions.load(&issued.id).await?.ok_or("no session")?;
    /// let token = session.csrf_token();
    /// assert!(session.is_csrf_token(&token));
    /// assert!(!session.is_csrf_token("forged"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn csrf_token(&self) -> String {
        let pad = random::bytes::<PAD_BYTES>();
        let code = self.code(&pad).finalize().into_bytes();
        let code = code
            .first_chunk::<MAC_BYTES>()
            .expect("invariant: HMAC-SHA-256 is 32 bytes");
        URL_SAFE_NO_PAD.encode([&pad[..], code].concat())
    }

    /// Whether a token is one of this session's; takes the same time for every wrong one.
    pub fn is_csrf_token(&self, token: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        let Some((pad, code)) = bytes.split_at_checked(PAD_BYTES) else {
            return false;
        };
        code.len() == MAC_BYTES && self.code(pad).verify_truncated_left(code).is_ok()
    }

    fn code(&self, pad: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.origin.seed.as_bytes())
            .expect("invariant: HMAC takes a key of any length");
        mac.update(b"mainstay csrf");
        mac.update(pad);
        mac
    }
}

#[cfg(test)]
mod tests {
    use crate::{Mainstay, Result};

    #[tokio::test]
    async fn a_token_outlives_the_id_and_is_no_other_sessions() -> Result<()> {
        let sessions = Mainstay::memory().sessions::<()>().build()?;
        let issued = sessions.create("ada", &()).await?;
        let session = sessions.load(&issued.id).await?.unwrap();
        let token = session.csrf_token();
        assert_ne!(token, session.csrf_token());

        let crate::session::Renewed::Issued(renewed) = sessions.rotate(&issued.id).await? else {
            panic!("it is valid");
        };
        let session = sessions.load(&renewed.id).await?.unwrap();
        assert!(session.is_csrf_token(&token));

        let other = sessions.create("ada", &()).await?;
        let other = sessions.load(&other.id).await?.unwrap();
        assert!(!other.is_csrf_token(&token));
        for position in 0..token.len() {
            let mut wrong = token.clone().into_bytes();
            wrong[position] = if wrong[position] == b'A' { b'B' } else { b'A' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(!session.is_csrf_token(&wrong), "{position}");
        }
        for wrong in ["", "AAAA", &token[..47], &format!("{token}AAAA")] {
            assert!(!session.is_csrf_token(wrong));
        }
        Ok(())
    }
}
