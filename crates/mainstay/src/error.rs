//! The one public error: what happened, and whether sending again is safe.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Result with mainstay's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync>;

/// Says why a call gave no answer.
///
/// A refusal is never an error: a cache miss is `None`, a held lock is
/// [`Acquire::Held`](crate::lock::Acquire::Held), a denied request is
/// a denied [`Decision`](crate::ratelimit::Decision).
///
/// Cloning is cheap; all callers that shared one load share one error.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input cannot be accepted; the message names the part and what is allowed.
    Invalid,
    /// The backend could not be reached and nothing took effect.
    Unavailable,
    /// The call was sent and its reply was lost: it may or may not have taken effect.
    Unknown,
    /// The backend answered with a refusal of its own: out of memory, read-only, no permission.
    Refused,
    /// The connected server cannot do this.
    Unsupported,
    /// A value could not be encoded or decoded.
    Codec,
    /// The caller's own loader failed; its error is the source.
    Loader,
    /// The backend broke its contract: a reply of the wrong shape, foreign data under a key.
    Corrupt,
}

/// Whether a failed call may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// It took no effect: send it again, after a pause.
    Safe,
    /// It may have taken effect: send it again only when doing it twice is harmless.
    Unknown,
    /// The same call will fail the same way.
    Never,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: Some(Arc::from(source.into())),
        }))
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may be sent again.
    pub fn retry(&self) -> Retry {
        match self.0.kind {
            ErrorKind::Unavailable => Retry::Safe,
            ErrorKind::Unknown => Retry::Unknown,
            ErrorKind::Invalid
            | ErrorKind::Refused
            | ErrorKind::Unsupported
            | ErrorKind::Codec
            | ErrorKind::Loader
            | ErrorKind::Corrupt => Retry::Never,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_follows_from_the_kind() {
        let retry = |kind| Error::new(kind, "x").retry();
        assert_eq!(retry(ErrorKind::Unavailable), Retry::Safe);
        assert_eq!(retry(ErrorKind::Unknown), Retry::Unknown);
        assert_eq!(retry(ErrorKind::Invalid), Retry::Never);
        assert_eq!(retry(ErrorKind::Refused), Retry::Never);
    }

    #[test]
    fn source_is_kept_and_survives_a_clone() {
        let source = std::io::Error::other("disk on fire");
        let error = Error::with_source(ErrorKind::Loader, "loader failed", source).clone();
        let kept = StdError::source(&error).map(ToString::to_string);
        assert_eq!(kept.as_deref(), Some("disk on fire"));
    }
}
