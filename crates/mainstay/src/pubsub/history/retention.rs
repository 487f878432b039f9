//! What a channel keeps.

use std::time::Duration;

use crate::backend::Keep;
use crate::error::{Error, Result};
use crate::ttl::Ttl;

/// What a channel keeps: the latest events, within three bounds at once.
///
/// All three are exact: what is beyond one of them is not handed out any more. Every publisher
/// brings its own; the history is cut to that of the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Retention {
    count: u64,
    age: Duration,
    bytes: u64,
}

impl Retention {
    /// The most events that a channel keeps: 10 million.
    pub const MAX_COUNT: u64 = 10_000_000;

    /// Keeps so many events, for 24 hours and up to 64 MiB.
    pub const fn count(count: u64) -> Self {
        Self {
            count,
            age: Duration::from_secs(24 * 3600),
            bytes: 64 << 20,
        }
    }

    /// How old they may be, in whole milliseconds.
    pub const fn age(self, age: Duration) -> Self {
        Self { age, ..self }
    }

    /// How many bytes they may have together, as JSON. The latest is kept whatever its size.
    pub const fn bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// Checks it, as [`HistoryBuilder::build`](super::HistoryBuilder::build) does.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it keeps nothing, or more or longer than it may.
    pub fn validate(self) -> Result<()> {
        self.check().map(drop)
    }

    pub(super) fn check(self) -> Result<Keep> {
        if self.count == 0 || self.count > Self::MAX_COUNT {
            return Err(Error::invalid(format!(
                "a history keeps 1 to {} events",
                Self::MAX_COUNT
            )));
        }
        if self.bytes == 0 {
            return Err(Error::invalid("a history keeps at least 1 byte"));
        }
        Ok(Keep {
            count: self.count,
            age: Ttl::new(self.age)?,
            bytes: self.bytes,
        })
    }
}
