//! Denials that are known to last.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::{Decision, Policy, RetryAfter, Source};
use crate::backend::Demand;
use crate::clock::Moment;

/// What the store has denied last, of so many subjects.
pub(super) struct Denials {
    known: Cache<Box<str>, (Decision, Moment)>,
    /// How often something was forgotten.
    forgotten: AtomicU64,
}

/// When a call was sent, and what had been forgotten by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    at: Moment,
    forgotten: u64,
}

impl Denials {
    pub(super) fn new(subjects: NonZeroUsize) -> Self {
        Self {
            known: Cache::new(subjects.get()),
            forgotten: AtomicU64::new(0),
        }
    }

    /// Before a call is sent at this moment.
    pub(super) fn sent(&self, at: Moment) -> Sent {
        let forgotten = self.forgotten.load(Ordering::Acquire);
        Sent { at, forgotten }
    }

    /// The denial that still holds, if one is known.
    pub(super) fn find(&self, demands: &[Demand], now: Moment) -> Option<Decision> {
        let (decision, sent) = self.known.get(&*name(demands))?;
        let costs = demands.iter().map(|demand| demand.cost);
        decision.denied_still(costs, now.since(sent))
    }

    /// Keeps a denial of the store: the wait may be over a little before it is in the store, never
    /// after. One that was on its way while something was forgotten may be of before.
    pub(super) fn note(&self, demands: &[Demand], decision: &Decision, sent: Sent) {
        let is_of_now = self.forgotten.load(Ordering::Acquire) == sent.forgotten;
        let waits = matches!(decision.retry_after(), Some(RetryAfter::After(_)));
        if waits && is_of_now && decision.source() == Source::Store {
            self.known
                .insert(name(demands), (decision.clone(), sent.at));
        }
    }

    /// After the store has been told.
    pub(super) fn forget(&self, demands: &[Demand]) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.known.remove(&*name(demands));
    }

    /// A permit may come back at any time.
    pub(super) fn suit(policies: &[Policy]) -> bool {
        !policies.iter().any(Policy::is_concurrent)
    }
}

/// No key has a line break.
fn name(demands: &[Demand]) -> Box<str> {
    let keys: Vec<_> = demands.iter().map(|demand| demand.key.as_str()).collect();
    keys.join("\n").into()
}
