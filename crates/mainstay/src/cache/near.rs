//! How much a cache keeps in the process, and how old that may be.

use std::time::Duration;

use crate::clock::TIMER_LAG;
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
    /// One hit of a power of two, less one.
    pub(super) check_mask: u64,
}

impl Near {
    /// The shortest bound that heartbeats can hold up.
    pub const MIN_STALENESS: Duration = Duration::from_secs(1);

    /// The least that is worth keeping.
    pub const MIN_BYTES: u64 = 64 << 10;

    /// Keeps at most about `max_bytes`, counted by the entries' encoded size; at least 64 KiB.
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            max_staleness: Duration::from_secs(2),
            check_mask: (1 << 13) - 1,
        }
    }

    /// How old a hit may be; at least 1 s, default 2 s.
    pub const fn max_staleness(self, max_staleness: Duration) -> Self {
        Self {
            max_staleness,
            ..self
        }
    }

    /// Compares one hit of about so many with the store afterwards and counts those that should
    /// not have been; the next power of two counts, default 8,192, 0 for none.
    pub const fn check_one_in(self, hits: u64) -> Self {
        let check_mask = match hits.checked_next_power_of_two() {
            Some(power) if hits > 0 => power - 1,
            _ => u64::MAX,
        };
        Self { check_mask, ..self }
    }

    /// The bound as it is checked on a hit, by a clock that may be late.
    #[inline]
    pub(super) fn bound(&self) -> Duration {
        self.max_staleness.saturating_sub(TIMER_LAG)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.max_bytes < Self::MIN_BYTES {
            return Err(Error::invalid("near cache is smaller than 64 KiB"));
        }
        if self.max_staleness < Self::MIN_STALENESS {
            return Err(Error::invalid(
                "max_staleness is shorter than 1 s: changes are confirmed four times a second",
            ));
        }
        Ok(())
    }
}
