//! Windows of the calendar.

use super::view::{State, View};
use crate::backend::Fixed;
use crate::error::Result;

const MICROS: u64 = 1_000_000;

/// What was taken from one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
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
    kept: Used,
    has_moved: bool,
}

impl Current {
    /// After the clock stepped back, and under another calendar, what was taken counts in this window.
    pub(super) fn new(rule: &Fixed, now_micros: u64, state: Option<&State>) -> Result<Self> {
        let second = now_micros / MICROS;
        let [starts, ends, _] = rule.calendar().windows(second)?;
        let mut current = Self {
            limit: rule.limit(),
            now_micros,
            starts,
            kept: Used { ends, used: 0 },
            has_moved: false,
        };
        if let Some(State::Fixed(kept)) = state
            && second < kept.ends
        {
            current.kept.used = kept.used;
            current.has_moved = kept.ends != ends;
        }
        Ok(current)
    }
}

impl View for Current {
    fn free(&self) -> u64 {
        self.limit.saturating_sub(self.kept.used)
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn charge(&mut self, cost: u64) {
        self.kept.used += cost;
    }

    fn refund(&mut self, at_micros: u64, cost: u64) -> bool {
        if at_micros < self.starts * MICROS || self.kept.used == 0 {
            return false;
        }
        self.kept.used = self.kept.used.saturating_sub(cost);
        true
    }

    fn wait_micros(&self, _cost: u64) -> u64 {
        self.kept.ends * MICROS - self.now_micros
    }

    fn reset_after_micros(&self) -> u64 {
        match self.kept.used {
            0 => 0,
            _ => self.kept.ends * MICROS - self.now_micros,
        }
    }

    fn into_state(self: Box<Self>) -> State {
        State::Fixed(self.kept)
    }
}
