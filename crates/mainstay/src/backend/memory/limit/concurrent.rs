//! Permits that are given back, or end.

use super::view::{State, View};
use crate::backend::Concurrent;

/// A permit that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Permit {
    id: String,
    ends_micros: u64,
    lease: u64,
    cost: u64,
}

/// The permits that are out at one instant.
#[derive(Debug)]
pub(super) struct Out {
    limit: u64,
    lease: u64,
    id: String,
    now_micros: u64,
    own: Option<Permit>,
    others: Vec<Permit>,
    /// Whether only a permit that is out is let in.
    renews: bool,
    has_moved: bool,
}

impl Out {
    /// After the clock stepped back a permit lasts no longer than from now.
    pub(super) fn new(
        rule: Concurrent,
        id: &str,
        renews: bool,
        now_micros: u64,
        state: Option<&State>,
    ) -> Self {
        let kept = match state {
            Some(State::Concurrent(kept)) => kept.as_slice(),
            _ => &[],
        };
        let mut out = Self {
            limit: rule.limit(),
            lease: rule.lease_micros(),
            id: id.to_owned(),
            now_micros,
            own: None,
            others: Vec::new(),
            renews,
            has_moved: false,
        };
        for permit in kept.iter().filter(|it| it.ends_micros > now_micros) {
            let last = now_micros + permit.lease;
            out.has_moved |= permit.ends_micros > last;
            let permit = Permit {
                ends_micros: permit.ends_micros.min(last),
                ..permit.clone()
            };
            if permit.id == id {
                out.own = Some(permit);
            } else {
                out.others.push(permit);
            }
        }
        out
    }

    fn used(&self) -> u64 {
        self.others.iter().map(|permit| permit.cost).sum()
    }
}

impl View for Out {
    fn free(&self) -> u64 {
        if self.renews && self.own.is_none() {
            return 0;
        }
        self.limit.saturating_sub(self.used())
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn charge(&mut self, cost: u64) {
        self.own = Some(Permit {
            id: self.id.clone(),
            ends_micros: self.now_micros + self.lease,
            lease: self.lease,
            cost,
        });
    }

    fn refund(&mut self, _at_micros: u64, _cost: u64) -> bool {
        self.own.take().is_some()
    }

    fn wait_micros(&self, cost: u64) -> u64 {
        let mut by_end: Vec<_> = self.others.iter().collect();
        by_end.sort_by_key(|permit| permit.ends_micros);
        let mut used = self.used();
        for permit in by_end {
            used -= permit.cost;
            if used <= self.limit && cost <= self.limit - used {
                return permit.ends_micros - self.now_micros;
            }
        }
        0
    }

    fn reset_after_micros(&self) -> u64 {
        let ends = self.others.iter().chain(&self.own);
        let last = ends.map(|permit| permit.ends_micros).max();
        last.map_or(0, |last| last - self.now_micros)
    }

    fn into_state(self: Box<Self>) -> State {
        let mut permits = self.others;
        permits.extend(self.own);
        State::Concurrent(permits)
    }
}
