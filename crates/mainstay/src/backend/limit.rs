//! Contract of the rate limit store.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::key::StoreKey;

/// Decides on limits.
///
/// # Behaviour
/// - All demands of one call are decided in one atomic step: all are charged, or none.
/// - A denied call changes nothing.
/// - With [`Window`], the admitted cost in *any* interval `(t - period, t]` of the store's clock
///   never exceeds the limit. Time is cut into [`Window::BUCKETS`] buckets a period, and a bucket
///   counts until all of it has left the interval: the price is that a unit is held for at most
///   `period / BUCKETS` longer than need be.
/// - `retry_after` is exact: the same call would be denied 1 ms earlier and admitted then, if
///   nobody else is admitted in between.
/// - When the store's clock steps back, what was counted counts as of now: nobody is locked out
///   for more than a period, and no more than the limit is admitted.
/// - State that no longer matters expires by itself.
/// - A call whose reply was lost is not sent again: it may have been charged.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Takes the cost of each demand if all of them fit. All keys must share one subject.
    ///
    /// Returns one answer for each demand, in order.
    async fn take(&self, demands: &[Demand]) -> Result<Vec<Take>>;
}

/// One limit that a call must fit in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Where the state is kept.
    pub key: StoreKey,
    /// The limit.
    pub window: Window,
    /// How much to take; 0 only looks.
    pub cost: u32,
}

/// At most `limit` in any interval of length `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    limit: NonZeroU32,
    bucket_micros: u64,
}

impl Window {
    /// Buckets that one period is cut into.
    pub const BUCKETS: u64 = 60;

    const PERIOD_MIN: Duration = Duration::from_millis(1);
    const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

    /// Checks a limit.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless `limit` is at least 1 and `period` between
    /// 1 ms and 366 days.
    pub fn new(limit: u32, period: Duration) -> Result<Self> {
        let limit = NonZeroU32::new(limit)
            .ok_or_else(|| Error::invalid("limit is 0: it must be at least 1"))?;
        if period < Self::PERIOD_MIN || period > Self::PERIOD_MAX {
            return Err(Error::invalid(
                "period of a limit must be between 1 ms and 366 days",
            ));
        }
        let bucket_micros = u64::try_from(period.as_micros().div_ceil(u128::from(Self::BUCKETS)))
            .expect("invariant: 366 days fit");
        Ok(Self {
            limit,
            bucket_micros,
        })
    }

    /// The limit.
    pub fn limit(self) -> u32 {
        self.limit.get()
    }

    /// Length of one bucket.
    pub fn bucket_micros(self) -> u64 {
        self.bucket_micros
    }
}

/// Answer to one [`Demand`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Take {
    /// Whether this limit admits the call. The call is charged only if all limits do.
    pub admitted: bool,
    /// What is left after the call, or now if the call was denied.
    pub remaining: u32,
    /// Until the call would fit; `None` if it does now, or never will.
    pub retry_after: Option<Duration>,
    /// Until nothing is counted any more.
    pub reset_after: Duration,
    /// The store's clock at the decision, since 1970.
    pub at: Duration,
}
