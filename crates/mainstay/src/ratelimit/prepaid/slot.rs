//! What a process holds of one subject.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::ratelimit::Decision;

/// Units that may be used until their lease ends, and what was refused.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Held by whoever draws.
    pub(super) drawing: Arc<tokio::sync::Mutex<LastDraw>>,
    /// Whether [`Returns`](super::returns::Returns) looks at it once more; changed under its lock.
    pub(super) is_awaited: AtomicBool,
    current: RwLock<Current>,
}

/// How the store has failed the last draw.
#[derive(Debug, Default)]
pub(super) struct LastDraw {
    failed: Option<(Moment, Error)>,
}

#[derive(Debug, Default)]
struct Current {
    units: AtomicU64,
    /// Of the units.
    ends: Moment,
    refusal: Option<Refusal>,
    drawn: Drawn,
}

/// What the store has refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    /// So much, and what costs more.
    pub(super) cost: u64,
    /// When it would fit.
    pub(super) fits_at: Moment,
    /// Until then the store is not asked again.
    pub(super) until: Moment,
}

/// What the store has said when it was asked last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drawn {
    /// By the store's clock.
    pub(super) at: Duration,
    /// By ours, not later than that.
    pub(super) moment: Moment,
    /// What was left there.
    pub(super) left: u64,
    /// When nothing is counted any more.
    resets: Moment,
}

/// What a slot has to say of a call.
pub(super) enum Spent {
    /// It has paid; so many units are left.
    Units(u64, Drawn),
    /// It fits only then.
    Refused(Moment, Drawn),
    /// Nothing: the store must be asked.
    Nothing,
}

/// What was not used of a draw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unused {
    pub(super) units: u64,
    /// The store's time of the draw.
    pub(super) at: Duration,
}

/// What is left at the end of a lease.
pub(super) enum Rest {
    Nothing,
    Unused(Unused),
    /// A later draw has taken its place.
    Until(Moment),
}

impl Drawn {
    pub(super) fn new(decision: &Decision, sent: Moment) -> Self {
        Self {
            at: decision.decided_at(),
            moment: sent,
            left: decision.remaining(),
            resets: sent.after(decision.reset_after()),
        }
    }

    pub(super) fn reset_in(&self, now: Moment) -> Duration {
        self.resets.since(now)
    }
}

impl LastDraw {
    /// An invalid call is the fault of its caller alone.
    pub(super) fn note(&mut self, answer: &Result<Decision>, now: Moment) {
        let is_outage = |kind| matches!(kind, ErrorKind::Unavailable | ErrorKind::Unknown);
        let failure = answer.as_ref().err();
        self.failed = failure
            .filter(|error| is_outage(error.kind()))
            .map(|error| (now, error.clone()));
    }

    /// For whoever was waiting meanwhile: one after the other would wait for the same store.
    pub(super) fn failed_after(&self, asked: Moment) -> Option<Error> {
        let failed = self.failed.as_ref().filter(|(at, _)| *at > asked);
        failed.map(|(_, error)| error.clone())
    }
}

impl Slot {
    /// Uses units whose lease has not ended.
    pub(super) fn spend(&self, now: Moment, cost: u64) -> Spent {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if now < current.ends {
            let less = |units: u64| units.checked_sub(cost);
            let (order, relaxed) = (Ordering::AcqRel, Ordering::Acquire);
            if let Ok(units) = current.units.fetch_update(order, relaxed, less) {
                return Spent::Units(units - cost, current.drawn);
            }
        }
        match current.refusal {
            Some(refusal) if cost >= refusal.cost && now < refusal.until => {
                Spent::Refused(refusal.fits_at, current.drawn)
            }
            _ => Spent::Nothing,
        }
    }

    /// Takes out what was not used.
    pub(super) fn clear(&self) -> Option<Unused> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.take()
    }

    /// As [`clear`](Self::clear), if the lease has ended.
    pub(super) fn end(&self, now: Moment) -> Rest {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if now < current.ends && *current.units.get_mut() > 0 {
            return Rest::Until(current.ends);
        }
        current.take().map_or(Rest::Nothing, Rest::Unused)
    }

    pub(super) fn fill(&self, units: u64, ends: Moment, drawn: Drawn) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current {
            units: AtomicU64::new(units),
            ends,
            refusal: None,
            drawn,
        };
    }

    /// As it was before the first draw.
    pub(super) fn forget(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current::default();
    }

    pub(super) fn unused(&self) -> u64 {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.units.load(Ordering::Acquire)
    }

    pub(super) fn refuse(&self, refusal: Refusal, drawn: Drawn) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.refusal = Some(refusal);
        current.drawn = drawn;
    }
}

impl Current {
    fn take(&mut self) -> Option<Unused> {
        let units = std::mem::take(self.units.get_mut());
        let at = self.drawn.at;
        (units > 0).then_some(Unused { units, at })
    }
}
