//! The answer of a limiter.

use std::time::Duration;

use super::Policy;
use crate::backend::{Demand, Take};
use crate::key::Name;

/// Whether a call is within all policies of a limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    allowed: bool,
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
    /// What was asked of it.
    pub cost: u64,
    /// Its limit.
    pub limit: u64,
    /// What is left of it: after the call if that was charged, else now.
    pub remaining: u64,
    /// When the same call would fit; `None` if it fits as far as this policy goes.
    pub retry_after: Option<RetryAfter>,
    /// Until nothing is counted any more.
    pub reset_after: Duration,
    /// The store's clock at the decision, since 1970. Subjects on several nodes of a Cluster are decided
    /// on by several clocks.
    pub decided_at: Duration,
}

impl Quota {
    /// The more it matters the larger: first the wait, then how little is left.
    pub fn tightness(&self) -> impl Ord + use<> {
        (self.retry_after, std::cmp::Reverse(self.remaining))
    }
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
    /// This process, until the wait is over that the backend has told for such a call: by a
    /// [prepaid](super::Limiter::prepaid) limiter, or one that
    /// [remembers denials](super::Limiter::remember_denials).
    Refusal,
}

impl Decision {
    pub(super) fn new(
        policies: &[Policy],
        demands: &[Demand],
        takes: &[Take],
        source: Source,
    ) -> Self {
        let quota = |((policy, demand), take): ((&Policy, &Demand), &Take)| Quota {
            policy: policy.name().clone(),
            cost: demand.cost,
            limit: policy.capacity(),
            remaining: take.remaining,
            retry_after: (!take.admitted).then(|| {
                take.retry_after
                    .map_or(RetryAfter::Never, RetryAfter::After)
            }),
            reset_after: take.reset_after,
            decided_at: take.at,
        };
        let quotas: Vec<_> = policies.iter().zip(demands).zip(takes).map(quota).collect();
        Self {
            allowed: takes.iter().all(|take| take.admitted),
            source,
            quotas: <[Quota; 1]>::try_from(quotas).map_or_else(Quotas::Several, Quotas::One),
        }
    }

    /// One that this process makes by itself.
    pub(super) fn local(source: Source, quota: Quota) -> Self {
        Self {
            allowed: quota.retry_after.is_none(),
            source,
            quotas: Quotas::One([quota]),
        }
    }

    /// As an allowed call of one policy is told that took `cost`, while `kept` units more were charged.
    pub(super) fn of_a_part(mut self, cost: u64, kept: u64) -> Self {
        if let Quotas::One([quota]) = &mut self.quotas {
            quota.cost = cost;
            quota.remaining += kept;
        }
        self
    }

    /// The same denial for a call of these costs, asked so much later; `None` if that may be allowed, or
    /// never will be.
    pub(super) fn denied_still(
        mut self,
        costs: impl Iterator<Item = u64>,
        later: Duration,
    ) -> Option<Self> {
        self.source = Source::Refusal;
        let quotas = match &mut self.quotas {
            Quotas::One(quota) => quota.as_mut_slice(),
            Quotas::Several(quotas) => quotas,
        };
        let mut is_denied = false;
        for (quota, cost) in quotas.iter_mut().zip(costs) {
            if cost > quota.limit {
                return None;
            }
            quota.retry_after = match quota.retry_after {
                Some(RetryAfter::After(wait)) if cost >= quota.cost && wait > later => {
                    Some(RetryAfter::After(wait.saturating_sub(later)))
                }
                _ => None,
            };
            is_denied |= quota.retry_after.is_some();
            quota.cost = cost;
            quota.decided_at += later;
            quota.reset_after = quota.reset_after.saturating_sub(later);
        }
        is_denied.then_some(self)
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
        let tightest = self.quotas().iter().max_by_key(|quota| quota.tightness());
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

    /// The most that was asked of a policy.
    pub fn cost(&self) -> u64 {
        let costs = self.quotas().iter().map(|quota| quota.cost);
        costs.max().unwrap_or(0)
    }

    /// The store's clock at the decision, since 1970; with several, that of the first policy.
    pub fn decided_at(&self) -> Duration {
        let first = self.quotas().first();
        first.map_or(Duration::ZERO, |quota| quota.decided_at)
    }

    /// Who has decided.
    pub fn source(&self) -> Source {
        self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Keyspace};

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
        let policy = |number| format!("p{number}=5/1s").parse::<Policy>().unwrap();
        let policies: Vec<_> = (0..takes.len()).map(policy).collect();
        let keyspace = Keyspace::default();
        let subject = Key::new("ada").unwrap();
        let demand = |policy: &Policy| Demand {
            key: keyspace.limit(&subject, policy.name()),
            rule: policy.rule().clone(),
            cost: 4,
            permit: None,
        };
        let demands: Vec<_> = policies.iter().map(demand).collect();
        Decision::new(&policies, &demands, takes, Source::Store)
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
