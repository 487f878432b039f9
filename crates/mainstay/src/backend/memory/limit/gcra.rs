//! The generic cell rate algorithm (ITU-T I.371), in whole ticks.

use super::view::{State, View};
use crate::backend::Gcra;

const NANOS: u64 = 1_000;

/// When the bucket will be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    micros: u64,
    /// On top.
    nanos: u64,
}

/// A bucket at one instant.
#[derive(Debug)]
pub(super) struct Bucket {
    interval: u64,
    ticks_per_micro: u64,
    now_micros: u64,
    /// Ticks in which an empty bucket is full again.
    size: u64,
    /// Ticks until this one is.
    debt: u64,
    has_moved: bool,
}

impl Bucket {
    pub(super) fn new(rule: Gcra, now_micros: u64, state: Option<&State>) -> Self {
        let interval = rule.interval_ticks();
        let mut bucket = Self {
            interval,
            ticks_per_micro: rule.ticks_per_micro(),
            now_micros,
            size: rule.burst() * interval,
            debt: 0,
            has_moved: false,
        };
        if let Some(State::Gcra(full)) = state
            && let Some(left) = full.micros.checked_sub(now_micros)
        {
            let nanos = (full.nanos * bucket.ticks_per_micro).div_ceil(NANOS);
            let debt = left
                .saturating_mul(bucket.ticks_per_micro)
                .saturating_add(nanos);
            // The clock stepped back, or the bucket was made smaller: it is empty.
            bucket.has_moved = debt > bucket.size;
            bucket.debt = debt.min(bucket.size);
        }
        bucket
    }
}

impl View for Bucket {
    fn free(&self) -> u64 {
        (self.size - self.debt) / self.interval
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn charge(&mut self, cost: u64) {
        self.debt += cost * self.interval;
    }

    fn refund(&mut self, _at_micros: u64, cost: u64) -> bool {
        let before = self.debt;
        self.debt = before.saturating_sub(cost.saturating_mul(self.interval));
        self.debt < before
    }

    fn wait_micros(&self, cost: u64) -> u64 {
        (self.debt + cost * self.interval - self.size).div_ceil(self.ticks_per_micro)
    }

    fn reset_after_micros(&self) -> u64 {
        self.debt.div_ceil(self.ticks_per_micro)
    }

    fn into_state(self: Box<Self>) -> State {
        let rest = self.debt % self.ticks_per_micro;
        State::Gcra(Full {
            micros: self.now_micros + self.debt / self.ticks_per_micro,
            nanos: rest * (NANOS / self.ticks_per_micro),
        })
    }
}
