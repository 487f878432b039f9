//! The sliding window: pure state, no clock and no map.
//!
//! A sliding window log with its times rounded up to buckets: a period is cut into
//! [`Window::BUCKETS`] buckets, and a bucket counts until all of it has left the period. The same
//! algorithm runs on Redis as `limit_window.lua`; the two must decide alike.

use crate::backend::Window;

/// Buckets that can count at once: those of one period and the one that is leaving it.
#[expect(clippy::cast_possible_truncation, reason = "60 fits everywhere")]
const SLOTS: usize = Window::BUCKETS as usize + 1;

/// What was counted for one key, as it is kept between two calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    bucket_micros: u64,
    newest: u64,
    /// The newest bucket first.
    counts: Vec<u64>,
}

/// A history as one window sees it at one instant.
#[derive(Debug, Clone)]
pub(super) struct View {
    limit: u64,
    bucket_micros: u64,
    now_micros: u64,
    /// The bucket that `now_micros` is in.
    current: u64,
    /// By age in buckets; the current one first.
    counts: [u64; SLOTS],
    used: u64,
    rebased: bool,
}

impl View {
    /// Looks at a history at `now_micros` since 1970.
    ///
    /// After the clock stepped back, and under another bucket width (the policy was changed), all
    /// that still counts does so as of now.
    pub(super) fn new(window: Window, now_micros: u64, history: Option<&History>) -> Self {
        let bucket_micros = window.bucket_micros();
        let mut view = Self {
            limit: u64::from(window.limit()),
            bucket_micros,
            now_micros,
            current: now_micros / bucket_micros,
            counts: [0; SLOTS],
            used: 0,
            rebased: false,
        };
        if let Some(history) = history {
            view.read(history);
        }
        view
    }

    fn read(&mut self, history: &History) {
        let passed = (self.now_micros / history.bucket_micros).checked_sub(history.newest);
        self.rebased = passed.is_none() || history.bucket_micros != self.bucket_micros;
        let shift = usize::try_from(passed.unwrap_or(0)).unwrap_or(usize::MAX);
        let alive = history.counts.iter().take(SLOTS.saturating_sub(shift));
        self.used = alive.clone().sum();
        if !self.rebased {
            for (slot, count) in self.counts.iter_mut().skip(shift).zip(alive) {
                *slot = *count;
            }
        } else if let Some(slot) = self.counts.first_mut() {
            *slot = self.used;
        }
    }

    /// Whether a cost fits now.
    pub(super) fn admits(&self, cost: u32) -> bool {
        self.used + u64::from(cost) <= self.limit
    }

    /// Counts a cost now, whether it fits or not.
    pub(super) fn charge(&mut self, cost: u32) {
        let cost = u64::from(cost);
        if let Some(slot) = self.counts.first_mut() {
            *slot += cost;
        }
        self.used += cost;
    }

    /// Whether the history was moved to now, and so has to be kept anew even if nothing is charged:
    /// otherwise it would count as of now at every look, and never leave.
    pub(super) fn rebased(&self) -> bool {
        self.rebased
    }

    /// What is left of the limit.
    pub(super) fn remaining(&self) -> u32 {
        u32::try_from(self.limit.saturating_sub(self.used)).unwrap_or(u32::MAX)
    }

    /// Until a cost fits that does not fit now; `None` if it does, or is above the limit.
    pub(super) fn retry_after_micros(&self, cost: u32) -> Option<u64> {
        if self.admits(cost) {
            return None;
        }
        let mut used = self.used;
        let oldest_first = (0..=Window::BUCKETS).rev().zip(self.counts.iter().rev());
        for (age, count) in oldest_first {
            used -= count;
            if used + u64::from(cost) <= self.limit {
                return Some(self.leaves_in_micros(age));
            }
        }
        None
    }

    /// Until nothing counts any more; 0 if nothing does.
    pub(super) fn reset_after_micros(&self) -> u64 {
        (0..)
            .zip(&self.counts)
            .find(|(_, count)| **count > 0)
            .map_or(0, |(age, _)| self.leaves_in_micros(age))
    }

    /// What to keep; `None` if nothing counts.
    pub(super) fn into_history(self) -> Option<History> {
        let oldest = self.counts.iter().rposition(|count| *count > 0)?;
        Some(History {
            bucket_micros: self.bucket_micros,
            newest: self.current,
            counts: self.counts.into_iter().take(oldest + 1).collect(),
        })
    }

    /// Until the bucket of this age no longer counts.
    fn leaves_in_micros(&self, age: u64) -> u64 {
        (self.current + Window::BUCKETS + 1 - age) * self.bucket_micros - self.now_micros
    }
}

#[cfg(test)]
mod tests;
