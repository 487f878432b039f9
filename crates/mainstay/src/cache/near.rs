//! How much a cache keeps in the process, and how old that may be.

use std::time::Duration;

use crate::error::{Error, Result};

/// A near cache: decoded values in the process, told of every change.
///
/// A hit is never older than [`max_staleness`](Self::max_staleness): the value was the store's
/// current one at some time within it. When that cannot be known, because the connection that
/// tells of changes is silent, hits stop and the store is asked.
///
/// ```
/// use std::time::Duration;
/// use mainstay::Mainstay;
/// use mainstay::cache::Near;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let near = Near::new(64 << 20).max_staleness(Duration::from_secs(5));
/// let names = Mainstay::memory().cache::<String>("names").near(near).build()?;
/// names.set("7", &"Ada".to_owned()).await?;
/// assert_eq!(names.get("7").await?.as_deref(), Some("Ada"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Near {
    pub(super) max_bytes: u64,
    pub(super) max_staleness: Duration,
    pub(super) check_one_in: u64,
}

impl Near {
    /// The shortest bound that heartbeats can hold up.
    pub const MIN_STALENESS: Duration = Duration::from_secs(1);

    /// Keeps at most about `max_bytes`, counted by the entries' encoded size; at least 64 KiB.
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            max_staleness: Duration::from_secs(2),
            check_one_in: 10_000,
        }
    }

    /// How old a hit may be; at least 1 s, default 2 s.
    pub const fn max_staleness(self, max_staleness: Duration) -> Self {
        Self {
            max_staleness,
            ..self
        }
    }

    /// Compares one hit of so many with the store afterwards and counts those that should not
    /// have been; default 10,000.
    pub const fn check_one_in(self, check_one_in: u64) -> Self {
        Self {
            check_one_in,
            ..self
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.max_bytes < 64 << 10 {
            return Err(Error::invalid("near cache is smaller than 64 KiB"));
        }
        if self.max_staleness < Self::MIN_STALENESS {
            return Err(Error::invalid(
                "max_staleness is shorter than 1 s: changes are confirmed four times a second",
            ));
        }
        if self.check_one_in == 0 {
            return Err(Error::invalid(
                "check_one_in is zero: it must be at least 1",
            ));
        }
        Ok(())
    }
}
