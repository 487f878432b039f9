//! The answer of a limiter.

use std::time::Duration;

use crate::backend::Take;
use crate::key::Name;

/// Whether a call is within all policies of a limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    allowed: bool,
    cost: u64,
    decided_at: Duration,
    source: Source,
    quotas: Quotas,
}

/// One for each policy; most limiters have but one, which then takes no allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Quotas {
    One([Quota; 1]),
    Several(Vec<Quota>),
}

/// What one policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// The policy.
    pub policy: Name,
    /// Its limit.
    pub limit: u64,
    /// What is left of it: after the call if that was charged, else now.
    pub remaining: u64,
    /// When the same call would fit; `None` if it fits as far as this policy goes.
    pub retry_after: Option<RetryAfter>,
    /// Until nothing is counted any more.
    pub reset_after: Duration,
}

/// When a denied call would fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryAfter {
    /// After this long, exact to the millisecond, if nobody else is admitted and nothing is given back
    /// in between.
    After(Duration),
    /// Never: the cost is above the limit.
    Never,
}

/// Who has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The backend.
    Store,
    /// This process, from what it has [prepaid](super::Limiter::prepaid).
    Lease,
    /// This process, since the backend does not answer: [`WhenDown`](super::WhenDown) says how.
    Fallback,
    /// This process, until the wait is over that the backend has told for such a call.
    Refusal,
}

impl Decision {
    pub(super) fn new<'a>(
        policies: impl Iterator<Item = (&'a Name, u64)>,
        takes: &[Take],
        source: Source,
        cost: u64,
    ) -> Self {
        let quota = |((policy, limit), take): ((&Name, u64), &Take)| Quota {
            policy: policy.clone(),
            limit,
            remaining: take.remaining,
            retry_after: (!take.admitted).then(|| {
                take.retry_after
                    .map_or(RetryAfter::Never, RetryAfter::After)
            }),
            reset_after: take.reset_after,
        };
        let quotas: Vec<_> = policies.zip(takes).map(quota).collect();
        Self {
            allowed: takes.iter().all(|take| take.admitted),
            cost,
            decided_at: takes.first().map_or(Duration::ZERO, |take| take.at),
            source,
            quotas: <[Quota; 1]>::try_from(quotas).map_or_else(Quotas::Several, Quotas::One),
        }
    }

    /// One that this process makes by itself.
    pub(super) fn local(source: Source, cost: u64, decided_at: Duration, quota: Quota) -> Self {
        Self {
            allowed: quota.retry_after.is_none(),
            cost,
            decided_at,
            source,
            quotas: Quotas::One([quota]),
        }
    }

    /// Whether the call fits in all policies, and so was charged.
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// What each policy says, in the limiter's order.
    pub fn quotas(&self) -> &[Quota] {
        match &self.quotas {
            Quotas::One(quota) => quota,
            Quotas::Several(quotas) => quotas,
        }
    }

    /// The policy that matters most: of a denied call the one that it has to wait for longest, else the
    /// one of which least is left.
    pub fn tightest(&self) -> &Quota {
        let by_wait = |quota: &&Quota| (quota.retry_after, std::cmp::Reverse(quota.remaining));
        let tightest = self.quotas().iter().max_by_key(by_wait);
        tightest.expect("invariant: a limiter has a policy")
    }

    /// The limit of the [`tightest`](Self::tightest) policy.
    pub fn limit(&self) -> u64 {
        self.tightest().limit
    }

    /// What is left of the [`tightest`](Self::tightest) policy.
    pub fn remaining(&self) -> u64 {
        self.tightest().remaining
    }

    /// When the same call would fit in all policies; `None` if it was allowed.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.tightest().retry_after
    }

    /// Until the [`tightest`](Self::tightest) policy counts nothing any more.
    pub fn reset_after(&self) -> Duration {
        self.tightest().reset_after
    }

    /// What was asked for.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// The store's clock at the decision, since 1970.
    pub fn decided_at(&self) -> Duration {
        self.decided_at
    }

    /// Who has decided.
    pub fn source(&self) -> Source {
        self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(admitted: bool, remaining: u64, retry_after: Option<u64>) -> Take {
        Take {
            admitted,
            remaining,
            retry_after: retry_after.map(Duration::from_secs),
            reset_after: Duration::from_secs(remaining),
            at: Duration::from_secs(9),
        }
    }

    fn decision(takes: &[Take]) -> Decision {
        let names: Vec<_> = (0..takes.len())
            .map(|number| Name::new(format!("p{number}")).unwrap())
            .collect();
        Decision::new(names.iter().map(|name| (name, 5)), takes, Source::Store, 4)
    }

    #[test]
    fn a_denial_without_a_time_means_never() {
        let never = decision(&[take(false, 3, None)]);
        assert!(!never.is_allowed());
        assert_eq!(never.retry_after(), Some(RetryAfter::Never));
        assert_eq!((never.limit(), never.remaining(), never.cost()), (5, 3, 4));
        assert_eq!(never.decided_at(), Duration::from_secs(9));
    }

    #[test]
    fn the_longest_wait_or_the_least_that_is_left_is_tightest() {
        let policy = |takes: &[Take]| decision(takes).tightest().policy.to_string();
        assert_eq!(policy(&[take(true, 3, None), take(true, 1, None)]), "p1");
        let waits = [
            take(false, 3, Some(1)),
            take(true, 0, None),
            take(false, 3, Some(2)),
        ];
        assert_eq!(policy(&waits), "p2");
        assert_eq!(
            decision(&waits).retry_after(),
            Some(RetryAfter::After(Duration::from_secs(2)))
        );
        assert_eq!(
            policy(&[take(false, 9, None), take(false, 0, Some(7))]),
            "p0"
        );
        assert!(!decision(&waits).is_allowed());
    }
}
