//! Windows of the calendar.

use super::view::{State, View};
use crate::backend::Fixed;
use crate::error::Result;

const MICROS: u64 = 1_000_000;

/// What was taken from one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// In seconds since 1970, as the end.
    written: u64,
    ends: u64,
    used: u64,
}

/// The window that an instant is in.
#[derive(Debug)]
pub(super) struct Current {
    limit: u64,
    now_micros: u64,
    /// In seconds since 1970, as its end.
    starts: u64,
    ends: u64,
    used: u64,
    /// When that counts no more.
    leaves: u64,
    has_moved: bool,
}

impl Current {
    pub(super) fn new(rule: &Fixed, now_micros: u64, state: Option<&State>) -> Result<Self> {
        let second = now_micros / MICROS;
        let [starts, ends, _] = rule.calendar().windows(second)?;
        let mut current = Self {
            limit: rule.limit(),
            now_micros,
            starts,
            ends,
            used: 0,
            leaves: ends,
            has_moved: false,
        };
        if let Some(State::Fixed(kept)) = state
            && second < kept.ends
        {
            current.has_moved = second < kept.written;
            if current.has_moved {
                current.used = kept.used;
            } else if kept.written >= starts {
                // Of another calendar, too: it was charged in this window, at least in part.
                current.used = kept.used;
                current.leaves = ends.min(kept.ends);
            }
        }
        Ok(current)
    }
}

impl View for Current {
    fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn charge(&mut self, cost: u64) {
        self.used += cost;
        self.leaves = self.ends;
    }

    fn refund(&mut self, at_micros: u64, cost: u64) -> bool {
        if at_micros < self.starts * MICROS || self.used == 0 {
            return false;
        }
        self.used = self.used.saturating_sub(cost);
        self.leaves = self.ends;
        true
    }

    fn wait_micros(&self, _cost: u64) -> u64 {
        self.leaves * MICROS - self.now_micros
    }

    fn reset_after_micros(&self) -> u64 {
        match self.used {
            0 => 0,
            _ => self.leaves * MICROS - self.now_micros,
        }
    }

    fn into_state(self: Box<Self>) -> State {
        State::Fixed(Taken {
            written: self.now_micros / MICROS,
            ends: self.leaves,
            used: self.used,
        })
    }
}
