//! Decides for one policy.

use std::fmt;
use std::sync::Arc;

use metrics::{SharedString, counter};

use super::{Decision, Policy};
use crate::backend::{Demand, LimitStore};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{AsKey, Keyspace};

/// Decides whether a subject is within a policy.
///
/// Made by [`Mainstay::limiter`](crate::Mainstay::limiter). Cheap to clone. The store's clock
/// decides, so all processes agree.
#[derive(Clone)]
pub struct Limiter {
    store: Arc<dyn LimitStore>,
    keyspace: Keyspace,
    policy: Arc<Policy>,
    label: SharedString,
}

impl Limiter {
    pub(crate) fn new(store: Arc<dyn LimitStore>, keyspace: Keyspace, policy: Policy) -> Self {
        Self {
            store,
            keyspace,
            label: SharedString::from_shared(policy.name().as_str().into()),
            policy: Arc::new(policy),
        }
    }

    /// The policy it decides by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Charges one unit if it fits.
    ///
    /// Cancel safe in memory; on a server a dropped call may have been charged.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a subject that is no key;
    /// [`Unavailable`](ErrorKind::Unavailable) when nothing was charged;
    /// [`Unknown`](ErrorKind::Unknown) when it may have been: it is not sent again.
    pub async fn check(&self, subject: impl AsKey) -> Result<Decision> {
        self.check_cost(subject, 1).await
    }

    /// Charges `cost` units if all of them fit; a cost of 0 only looks.
    ///
    /// Cancel safety as [`check`](Self::check).
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{Decision, Policy, RetryAfter};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let limiter = stay.limiter(Policy::window("bytes", 10, Duration::from_secs(1))?);
    /// assert!(limiter.check_cost("ada", 8).await?.is_allowed());
    /// let Decision::Denied { remaining, retry_after, .. } = limiter.check_cost("ada", 11).await?
    /// else {
    ///     panic!("11 never fit in 10");
    /// };
    /// assert_eq!((remaining, retry_after), (2, RetryAfter::Never));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn check_cost(&self, subject: impl AsKey, cost: u32) -> Result<Decision> {
        let decision = self.take(subject, cost).await?;
        let name = if decision.is_allowed() {
            "allowed"
        } else {
            "denied"
        };
        let policy = self.label.clone();
        counter!("mainstay_limit_decisions_total", "policy" => policy, "decision" => name)
            .increment(1);
        Ok(decision)
    }

    /// Looks without charging: what remains, and when nothing is counted any more.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a subject that is no key;
    /// [`Unavailable`](ErrorKind::Unavailable) or [`Unknown`](ErrorKind::Unknown) when the
    /// backend does not answer.
    pub async fn peek(&self, subject: impl AsKey) -> Result<Decision> {
        self.take(subject, 0).await
    }

    async fn take(&self, subject: impl AsKey, cost: u32) -> Result<Decision> {
        let key = self.keyspace.limit(&*subject.as_key()?, self.policy.name());
        let demand = Demand {
            key,
            window: self.policy.bounds(),
            cost,
        };
        let takes = self.store.take(&[demand]).await?;
        let take = takes.first().ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                "limit store gave no answer to one demand",
            )
        })?;
        Ok(Decision::new(self.policy.limit(), take))
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
