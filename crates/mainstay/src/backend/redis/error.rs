//! From the driver's errors to what a caller can do.

use redis::{ErrorKind as DriverKind, RedisError, ServerErrorKind};

use crate::error::{Error, ErrorKind};

/// Why one attempt at one command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It never left this process: the link is down.
    Down(Option<RedisError>),
    /// As before, and the last attempt to connect has failed: waiting a moment will not help.
    Away(Option<RedisError>),
    /// It was handed to the connection, and no reply came.
    Lost(Option<RedisError>),
    /// The server replied that it did not execute it.
    Answered(RedisError),
}

impl Failure {
    /// Whether the command certainly had no effect.
    pub(crate) fn had_no_effect(&self) -> bool {
        !matches!(self, Self::Lost(_))
    }

    /// The same, for a call of which an attempt before was lost.
    pub(crate) fn or_lost(self) -> Self {
        match self {
            Self::Down(cause) | Self::Away(cause) | Self::Lost(cause) => Self::Lost(cause),
            Self::Answered(error) => Self::Lost(Some(error)),
        }
    }

    /// Whether another attempt can end differently.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Down(_) | Self::Lost(_) => true,
            Self::Away(_) => false,
            Self::Answered(error) => classify(error) == ErrorKind::Unavailable,
        }
    }

    /// The public error. `harmless` says that the command has no effect even if executed.
    pub(crate) fn into_error(self, harmless: bool) -> Error {
        match self {
            Self::Down(cause) | Self::Away(cause) => {
                with_cause(ErrorKind::Unavailable, "backend is not reachable", cause)
            }
            Self::Lost(cause) if harmless => with_cause(
                ErrorKind::Unavailable,
                "backend did not answer in time",
                cause,
            ),
            Self::Lost(cause) => with_cause(
                ErrorKind::Unknown,
                "backend did not answer in time: the call may have taken effect",
                cause,
            ),
            Self::Answered(error) => refusal(error),
        }
    }
}

fn with_cause(kind: ErrorKind, message: &'static str, cause: Option<RedisError>) -> Error {
    match cause {
        Some(cause) => Error::with_source(kind, message, cause),
        None => Error::new(kind, message),
    }
}

/// The public error for a reply that is an error.
pub(crate) fn refusal(error: RedisError) -> Error {
    let kind = classify(&error);
    let message = match kind {
        ErrorKind::Unavailable => "backend cannot serve the call at the moment",
        ErrorKind::Corrupt => "backend holds foreign data under the key",
        _ => "backend refused the call",
    };
    Error::with_source(kind, message, error)
}

/// The public error for a failed connection attempt.
pub(crate) fn connecting(error: RedisError) -> Error {
    let kind = match error.kind() {
        DriverKind::AuthenticationFailed
        | DriverKind::InvalidClientConfig
        | DriverKind::RESP3NotSupported => ErrorKind::Refused,
        DriverKind::Extension if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => {
            ErrorKind::Refused
        }
        _ => ErrorKind::Unavailable,
    };
    let message = match kind {
        ErrorKind::Refused => "backend refused the login or the protocol",
        _ => "backend is not reachable",
    };
    Error::with_source(kind, message, error)
}

fn classify(error: &RedisError) -> ErrorKind {
    match error.kind() {
        DriverKind::Server(kind) => match kind {
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::ReadOnly => ErrorKind::Unavailable,
            ServerErrorKind::CrossSlot => ErrorKind::Corrupt,
            // ERR, EXECABORT, NOSCRIPT, NOTBUSY, NOSUB, NOPERM; and since the driver's enum may
            // grow, a code that it learns later is a refusal until we know it.
            _ => ErrorKind::Refused,
        },
        DriverKind::Extension => match error.code() {
            Some("WRONGTYPE") => ErrorKind::Corrupt,
            // Writes are refused for as long as the disk or the replicas are not what they should be.
            Some("BUSY" | "UNKILLABLE" | "MISCONF" | "NOREPLICAS") => ErrorKind::Unavailable,
            _ => ErrorKind::Refused,
        },
        DriverKind::Io
        | DriverKind::ClusterConnectionNotFound
        | DriverKind::MasterNameNotFoundBySentinel
        | DriverKind::NoValidReplicasFoundBySentinel
        | DriverKind::EmptySentinelList => ErrorKind::Unavailable,
        DriverKind::AuthenticationFailed | DriverKind::InvalidClientConfig => ErrorKind::Refused,
        DriverKind::RESP3NotSupported => ErrorKind::Unsupported,
        // Replies that cannot be read: Parse, UnexpectedReturnType, Client. As above, open.
        _ => ErrorKind::Corrupt,
    }
}
