//! How the server keeps sessions.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::session::{Sessions, WhenFull};
use serde_json::Value;

use crate::ServeError;

/// How long sessions live, how many a user may have, and what keeps them apart.
///
/// ```
/// use mainstay_server::{Config, Secret};
///
/// let mut config = Config::default();
/// config.sessions.secret = Some(Secret::new("32 random bytes from a vault"));
/// assert!(!format!("{config:?}").contains("vault"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// A session dies after this long without use, unless its creator says otherwise: 1 h.
    pub idle: Duration,
    /// A session dies after this long in any case, unless its creator says otherwise: 24 h.
    pub absolute: Duration,
    /// How long the old id of a session works when it has a new one: 10 s.
    pub grace: Duration,
    /// How many valid sessions a user may have, and what a log-in beyond that does: no limit.
    pub at_most: Option<(NonZeroU32, WhenFull)>,
    /// What stands between a user and the tag in ids and keys: none. All who share the store must have
    /// the same; under another one, a user's earlier sessions are neither listed nor ended together.
    pub secret: Option<Secret>,
    /// Keys of at least 32 bytes that tokens are signed with, so that what nobody issued is refused
    /// without a call of the store: none. The first signs, all are accepted.
    pub signing_keys: Vec<Secret>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(3600),
            absolute: Duration::from_secs(24 * 3600),
            grace: Duration::from_secs(10),
            at_most: None,
            secret: None,
            signing_keys: Vec::new(),
        }
    }
}

impl SessionConfig {
    pub(crate) fn validate(&self) -> Result<(), ServeError> {
        if self.secret.as_ref().is_some_and(Secret::is_empty) {
            return Err(ServeError::Config(
                "the secret of sessions is empty, which everybody knows".into(),
            ));
        }
        // The rest is for the library to say, which asks no store for it.
        self.open(&Mainstay::memory()).map(drop)
    }

    pub(crate) fn open(&self, stay: &Mainstay) -> Result<Sessions<Value>, ServeError> {
        let mut sessions = stay.sessions();
        sessions = sessions.idle(self.idle).absolute(self.absolute);
        sessions = sessions.grace(self.grace);
        if let Some((most, when_full)) = self.at_most {
            sessions = sessions.at_most(most, when_full);
        }
        if let Some(secret) = &self.secret {
            sessions = sessions.secret(secret.expose());
        }
        if !self.signing_keys.is_empty() {
            sessions = sessions.signed_by(self.signing_keys.iter().map(Secret::expose));
        }
        sessions.build().map_err(ServeError::Sessions)
    }
}

/// Bytes that nobody else may know. It has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes as they are: text is not decoded.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().to_vec())
    }

    /// The bytes. Keep them out of logs.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn refused(change: impl FnOnce(&mut SessionConfig)) -> String {
        let mut config = SessionConfig::default();
        change(&mut config);
        let error = config.validate().expect_err("it contradicts itself");
        let source = error.source().map(ToString::to_string);
        source.unwrap_or_else(|| error.to_string())
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        assert_eq!(
            refused(|config| config.signing_keys.push(Secret::new("short"))),
            "key to sign session ids with has 5 bytes: at least 32 are needed"
        );
        assert_eq!(
            refused(|config| config.secret = Some(Secret::new(""))),
            "the secret of sessions is empty, which everybody knows"
        );
        assert_eq!(
            refused(|config| config.idle = config.absolute * 2),
            "idle time of a session is longer than its absolute time"
        );
        assert_eq!(
            refused(|config| config.grace = Duration::ZERO),
            "ttl is zero: it must be at least 1 ms"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = SessionConfig {
            secret: Some(Secret::new("hidden")),
            signing_keys: vec![Secret::new("hidden")],
            ..SessionConfig::default()
        };
        let shown = format!("{config:?}");
        assert!(shown.contains("secret: Some(Secret(***))"), "{shown}");
        assert!(
            !shown.contains("hidden") && !shown.contains("104"),
            "{shown}"
        );
    }
}
