//! A log of all that was admitted in a period.

use super::view::{State, View};
use crate::backend::Exact;

/// What was admitted at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    at_micros: u64,
    cost: u64,
}

/// A log, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    /// How long they count.
    period: u64,
    entries: Vec<Entry>,
}

/// What counts of a log at one instant.
#[derive(Debug)]
pub(super) struct Logged {
    limit: u64,
    period: u64,
    /// How long the entries count: no longer than the rule lets them that they were written by.
    lasts: u64,
    now_micros: u64,
    /// The oldest first.
    entries: Vec<Entry>,
    used: u64,
    has_moved: bool,
}

impl Logged {
    /// After the clock stepped back, what was admitted later counts as of now. Under another period what
    /// counts is kept for as long.
    pub(super) fn new(rule: Exact, now_micros: u64, state: Option<&State>) -> Self {
        let period = rule.period_micros();
        let (kept, lasts) = match state {
            Some(State::Exact(log)) => (log.entries.as_slice(), log.period.min(period)),
            _ => (&[][..], period),
        };
        let counting = kept.iter().filter(|it| it.at_micros + lasts > now_micros);
        let entries: Vec<_> = counting
            .clone()
            .map(|it| Entry {
                at_micros: it.at_micros.min(now_micros),
                cost: it.cost,
            })
            .collect();
        Self {
            limit: rule.limit(),
            period,
            lasts,
            now_micros,
            used: entries.iter().map(|entry| entry.cost).sum(),
            has_moved: counting.clone().any(|it| it.at_micros > now_micros),
            entries,
        }
    }

    fn leaves_in_micros(&self, entry: &Entry) -> u64 {
        entry.at_micros + self.lasts - self.now_micros
    }
}

impl View for Logged {
    fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn charge(&mut self, cost: u64) {
        self.lasts = self.period;
        let now = self.now_micros;
        match self.entries.last_mut().filter(|last| last.at_micros == now) {
            Some(last) => last.cost += cost,
            None => self.entries.push(Entry {
                at_micros: now,
                cost,
            }),
        }
    }

    fn refund(&mut self, at_micros: u64, cost: u64) -> bool {
        // After the clock stepped back several may have the same time.
        let mut left = cost;
        let taken = self
            .entries
            .iter_mut()
            .filter(|it| it.at_micros == at_micros);
        for entry in taken {
            let back = entry.cost.min(left);
            entry.cost -= back;
            left -= back;
        }
        if left == cost {
            return false;
        }
        self.lasts = self.period;
        true
    }

    fn wait_micros(&self, cost: u64) -> u64 {
        let mut used = self.used;
        for entry in &self.entries {
            used -= entry.cost;
            if used <= self.limit && cost <= self.limit - used {
                return self.leaves_in_micros(entry);
            }
        }
        0
    }

    fn reset_after_micros(&self) -> u64 {
        let last = self.entries.iter().rfind(|entry| entry.cost > 0);
        last.map_or(0, |entry| self.leaves_in_micros(entry))
    }

    fn into_state(mut self: Box<Self>) -> State {
        self.entries.retain(|entry| entry.cost > 0);
        State::Exact(Log {
            period: self.lasts,
            entries: self.entries,
        })
    }
}
