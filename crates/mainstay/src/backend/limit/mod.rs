//! Contract of the rate limit store.

mod calendar;
mod rule;

use std::time::Duration;

use async_trait::async_trait;

pub use self::calendar::{Calendar, Unit};
pub use self::rule::{Concurrent, Exact, Fixed, Gcra, LIMIT_MAX, Rule, Window};
use crate::error::Result;
use crate::key::StoreKey;

/// Decides on limits.
///
/// # Behaviour
/// - All demands of one call are decided in one atomic step: all are charged, or none. On a Cluster
///   that holds for keys of one slot. Others are looked at first; then they are charged one slot after
///   the other, and if one has been used up meanwhile the others get back what they were charged.
///   That is brought to its end even if the caller stops waiting.
/// - A denied call changes nothing.
/// - What a rule admits at most is said at each kind of [`Rule`].
/// - `retry_after` is exact: the same call would be denied 1 ms earlier and admitted then, if nobody
///   else is admitted in between, and nothing is given back.
/// - When the store's clock steps back, what was counted counts as of now: nobody is locked out
///   for more than a period, and no more than the limit is admitted.
/// - A rule that has changed finds what was counted by the old one; a rule of another kind finds
///   nothing.
/// - State that no longer matters expires by itself.
/// - A call whose reply was lost is not sent again: it may have been charged. One with a token is, and
///   is answered as the first time.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Decides on all demands, one answer each, in order; charges them if `charge` says so and all fit.
    async fn take(&self, demands: &[Demand], charge: Charge<'_>) -> Result<Vec<Take>>;

    /// Gives back what was taken at `at`, as far as it still counts. Of which demands something was
    /// given back is not told: how many.
    async fn refund(&self, demands: &[Demand], at: Duration) -> Result<u64>;

    /// Forgets what was counted; for how many keys something was.
    async fn reset(&self, keys: &[StoreKey]) -> Result<u64>;
}

/// Whether a call that fits is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge<'a> {
    /// It only looks.
    No,
    /// It is.
    Yes,
    /// Once, however often it is asked for with this key within a time.
    Once(&'a StoreKey, Duration),
    /// Nothing is taken: the leases of permits that are out begin anew, each by itself. Those that are not
    /// out are not admitted.
    Renew,
}

/// One limit that a call must fit in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Where the state is kept.
    pub key: StoreKey,
    /// The limit.
    pub rule: Rule,
    /// How much to take; 0 always fits.
    pub cost: u64,
    /// Which permit of a [`Concurrent`] rule.
    pub permit: Option<String>,
}

/// Answer to one [`Demand`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Take {
    /// Whether this limit admits the call. The call is charged only if all limits do.
    pub admitted: bool,
    /// What is left after the call, or now if the call was not charged.
    pub remaining: u64,
    /// Until the call would fit; `None` if it does now, or never will.
    pub retry_after: Option<Duration>,
    /// Until nothing is counted any more.
    pub reset_after: Duration,
    /// The store's clock at the decision, since 1970.
    pub at: Duration,
}
