//! Denials that are known to last.

use std::num::NonZeroUsize;

use quick_cache::sync::Cache;

use super::{Decision, Policy, Source};
use crate::backend::Demand;
use crate::clock::Moment;

/// What the store has denied last, of so many subjects.
pub(super) struct Denials {
    known: Cache<Box<str>, (Decision, Moment)>,
}

impl Denials {
    pub(super) fn new(subjects: NonZeroUsize) -> Self {
        Self {
            known: Cache::new(subjects.get()),
        }
    }

    /// The denial that still holds, if one is known.
    pub(super) fn find(&self, demands: &[Demand], now: Moment) -> Option<Decision> {
        let name = name(demands);
        let (decision, sent) = self.known.get(&*name)?;
        let costs = demands.iter().map(|demand| demand.cost);
        let still = decision.denied_still(costs, now.since(sent));
        if still.is_none() {
            self.known.remove(&*name);
        }
        still
    }

    /// Keeps a denial of the store, of a call that was sent at that moment: the wait may be over a
    /// little before it is in the store, never after.
    pub(super) fn note(&self, demands: &[Demand], decision: &Decision, sent: Moment) {
        if !decision.is_allowed() && decision.source() == Source::Store {
            self.known.insert(name(demands), (decision.clone(), sent));
        }
    }

    pub(super) fn forget(&self, demands: &[Demand]) {
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
