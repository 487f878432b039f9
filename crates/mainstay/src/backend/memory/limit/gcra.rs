//! The generic cell rate algorithm (ITU-T I.371), in whole ticks.

use super::view::{State, View};
use crate::backend::Gcra;

const NANOS: u128 = 1_000;

const MILLI: u64 = 1_000;

/// So many milliseconds, and more: 12 days.
const LONGEST: u64 = (1 << 30) - 1;

/// When the bucket will be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    micros: u64,
    /// On top.
    nanos: u64,
    /// Milliseconds until then when it was written, rounded up.
    missing: u64,
}

/// A bucket at one instant.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: u64,
    interval: u128,
    ticks_per_micro: u128,
    now_micros: u64,
    /// Ticks in which an empty bucket is full again.
    size: u128,
    /// Ticks until this one is: more than that if it was made smaller.
    debt: u128,
    has_moved: bool,
}

impl Bucket {
    pub(super) fn new(rule: Gcra, now_micros: u64, state: Option<&State>) -> Self {
        let (burst, interval) = (rule.burst(), u128::from(rule.interval_ticks()));
        let mut bucket = Self {
            burst,
            interval,
            ticks_per_micro: rule.ticks_per_micro().into(),
            now_micros,
            size: u128::from(burst) * interval,
            debt: 0,
            has_moved: false,
        };
        if let Some(State::Gcra(full)) = state
            && let Some(left) = full.micros.checked_sub(now_micros)
        {
            let missing = full.missing * MILLI;
            bucket.has_moved = full.missing < LONGEST && left > missing;
            let ticks = |micros: u64| u128::from(micros) * bucket.ticks_per_micro;
            bucket.debt = if bucket.has_moved {
                ticks(missing)
            } else {
                ticks(left) + ticks(full.nanos).div_ceil(NANOS)
            };
        }
        bucket
    }
}

impl View for Bucket {
    fn free(&self) -> u64 {
        whole(self.size.saturating_sub(self.debt) / self.interval)
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn charge(&mut self, cost: u64) {
        self.debt += u128::from(cost) * self.interval;
    }

    fn refund(&mut self, _at_micros: u64, cost: u64) -> bool {
        let before = self.debt;
        self.debt = before.saturating_sub(u128::from(cost.min(self.burst)) * self.interval);
        self.debt < before
    }

    fn wait_micros(&self, cost: u64) -> u64 {
        let owed = self.debt + u128::from(cost) * self.interval - self.size;
        whole(owed.div_ceil(self.ticks_per_micro))
    }

    fn reset_after_micros(&self) -> u64 {
        whole(self.debt.div_ceil(self.ticks_per_micro))
    }

    fn into_state(self: Box<Self>) -> State {
        let rest = self.debt % self.ticks_per_micro;
        State::Gcra(Full {
            missing: self.reset_after_micros().div_ceil(MILLI).min(LONGEST),
            micros: self.now_micros + whole(self.debt / self.ticks_per_micro),
            nanos: whole(rest * (NANOS / self.ticks_per_micro)),
        })
    }
}

/// Of units, or of microseconds until a bucket is full, which are fewer than 2^53.
fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
