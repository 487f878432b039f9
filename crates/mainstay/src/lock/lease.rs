//! Leases for callers that renew by themselves.

use std::fmt;
use std::time::Duration;

use super::Fence;
use crate::backend::LockRelease;
use crate::error::{Error, Result};

const TOKEN_BYTES_MAX: usize = 128;

/// Whether a lease was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum LeaseAttempt {
    /// The caller has the lock until the lease expires.
    Leased(LockLease),
    /// Another holds it.
    Held {
        /// Until its lease ends unless it is renewed; `None` for a foreign value without an end.
        left: Option<Duration>,
        /// Who holds it, as `host:pid`; empty for a foreign value.
        holder: String,
    },
}

/// A lock that is held until it expires, is renewed or released.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockLease {
    /// Proves the holder; whoever has it can renew and release.
    pub token: String,
    /// To be sent with every write.
    pub fence: Fence,
    /// At least this long is left: the ttl less the time since the request was sent, less 1 % and
    /// 2 ms for clocks that do not run alike.
    pub expires_in: Duration,
}

impl LockLease {
    pub(super) fn new(token: &str, fence: u64, expires_in: Duration) -> Self {
        Self {
            token: token.to_owned(),
            fence: Fence::from(fence),
            expires_in,
        }
    }
}

impl fmt::Debug for LockLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockLease")
            .field("token", &"***")
            .field("fence", &self.fence)
            .field("expires_in", &self.expires_in)
            .finish()
    }
}

/// Whether a release found the lock held by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It was the caller's and is free.
    Released,
    /// It was not the caller's any more; nothing changed. So is answered, too, who repeats a call
    /// that has released the lock, once eight others have had and released it.
    NotHeld,
}

impl From<LockRelease> for Release {
    fn from(release: LockRelease) -> Self {
        match release {
            LockRelease::Released => Self::Released,
            LockRelease::NotHeld => Self::NotHeld,
        }
    }
}

pub(super) fn check_token(token: &str) -> Result<()> {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(printable) {
        return Err(Error::invalid(
            "lock token must be 1 to 128 printable ASCII characters",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_short_printable_ascii() {
        assert!(check_token("a-Z_9~ !").is_ok());
        assert!(check_token(&"t".repeat(128)).is_ok());
        for token in ["", "a\n", "é", &"t".repeat(129)] {
            let message = check_token(token).unwrap_err().to_string();
            assert_eq!(
                message,
                "lock token must be 1 to 128 printable ASCII characters"
            );
        }
    }

    #[test]
    fn debug_hides_the_token() {
        let lease = LockLease::new("secret", 7, Duration::from_secs(1));
        assert!(!format!("{lease:?}").contains("secret"));
    }
}
