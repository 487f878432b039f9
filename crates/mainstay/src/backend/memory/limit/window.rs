//! The sliding window.
//!
//! A sliding window log with its times rounded up to buckets: a period is cut into
//! [`Window::BUCKETS`] buckets, and a bucket counts until all of it has left the period.

use super::view::{State, View};
use crate::backend::Window;

/// What was counted for one key, as it is kept between two calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    bucket_micros: u64,
    oldest: u64,
    /// The oldest bucket first.
    counts: Vec<u64>,
}

impl History {
    /// Of the last bucket that is counted.
    fn newest(&self) -> u64 {
        self.oldest + self.counts.len() as u64 - 1
    }
}

/// A history as one window sees it at one instant.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    limit: u64,
    now_micros: u64,
    /// The bucket that `now_micros` is in.
    current: u64,
    history: History,
    used: u64,
    /// What counts of another width: how much leaves when, in their order.
    leaving: Option<Vec<(u64, u64)>>,
    has_moved: bool,
}

impl Counted {
    /// Looks at a history at `now_micros` since 1970.
    ///
    /// After the clock stepped back, all that still counts does so as of now.
    pub(super) fn new(window: Window, now_micros: u64, state: Option<&State>) -> Self {
        let bucket_micros = window.bucket_micros();
        let current = now_micros / bucket_micros;
        let mut view = Self {
            limit: window.limit(),
            now_micros,
            current,
            history: History {
                bucket_micros,
                oldest: current,
                counts: Vec::new(),
            },
            used: 0,
            leaving: None,
            has_moved: false,
        };
        if let Some(State::Window(history)) = state {
            view.read(history);
        }
        view
    }

    fn read(&mut self, history: &History) {
        let theirs = self.now_micros / history.bucket_micros;
        let oldest = theirs
            .max(history.newest())
            .saturating_sub(Window::BUCKETS)
            .max(history.oldest);
        let gone = usize::try_from(oldest - history.oldest).unwrap_or(usize::MAX);
        let alive = history.counts.iter().skip(gone).copied();
        let (theirs, width) = (history.bucket_micros, self.history.bucket_micros);
        self.has_moved = history.newest() * theirs > self.now_micros;
        if theirs != width && !self.has_moved {
            self.convert(oldest, theirs, alive);
            return;
        }
        self.used = alive.clone().sum();
        if self.has_moved {
            self.history.counts = vec![self.used];
        } else if self.used > 0 {
            self.history.oldest = oldest;
            self.history.counts = alive.collect();
        }
    }

    /// Counts buckets of another width, from the oldest on, as of their last instant, or of now.
    fn convert(&mut self, oldest: u64, theirs: u64, counts: impl Iterator<Item = u64>) {
        let width = self.history.bucket_micros;
        let mut leaving = Vec::new();
        for (bucket, count) in (oldest..).zip(counts).filter(|(_, count)| *count > 0) {
            let last = (bucket + 1) * theirs - 1;
            let at = self.now_micros.min(last) / width;
            if at + Window::BUCKETS < self.current {
                continue;
            }
            if self.used == 0 {
                self.history.oldest = at;
            }
            let index = usize::try_from(at - self.history.oldest).unwrap_or(usize::MAX);
            self.history.counts.resize(index + 1, 0);
            if let Some(counted) = self.history.counts.last_mut() {
                *counted += count;
            }
            self.used += count;
            leaving.push((
                count,
                leaves(bucket, theirs).min(leaves(last / width, width)),
            ));
        }
        self.leaving = Some(leaving);
    }

    /// Until the bucket at this index no longer counts.
    fn leaves_in_micros(&self, index: usize) -> u64 {
        let bucket = self.history.oldest + index as u64;
        leaves(bucket, self.history.bucket_micros) - self.now_micros
    }
}

/// When a bucket counts no more.
fn leaves(bucket: u64, width: u64) -> u64 {
    (bucket + Window::BUCKETS + 1) * width
}

impl View for Counted {
    fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn charge(&mut self, cost: u64) {
        self.leaving = None;
        let index = usize::try_from(self.current - self.history.oldest).unwrap_or(usize::MAX);
        let counts = &mut self.history.counts;
        counts.resize(index + 1, 0);
        if let Some(count) = counts.last_mut() {
            *count += cost;
        }
    }

    fn refund(&mut self, at_micros: u64, cost: u64) -> bool {
        let bucket = at_micros / self.history.bucket_micros;
        let index = bucket.checked_sub(self.history.oldest);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let count = index.and_then(|index| self.history.counts.get_mut(index));
        let Some(count) = count.filter(|count| **count > 0) else {
            return false;
        };
        self.leaving = None;
        *count = count.saturating_sub(cost);
        let counted = self.history.counts.iter().rposition(|count| *count > 0);
        let counts = counted.map_or(0, |last| last + 1);
        self.history.counts.truncate(counts);
        true
    }

    fn wait_micros(&self, cost: u64) -> u64 {
        let mut used = self.used;
        for (count, at) in self.leaving.iter().flatten() {
            used -= count;
            if used <= self.limit && cost <= self.limit - used {
                return at - self.now_micros;
            }
        }
        for (index, count) in self.history.counts.iter().enumerate() {
            used -= count;
            if used <= self.limit && cost <= self.limit - used {
                return self.leaves_in_micros(index);
            }
        }
        0
    }

    fn reset_after_micros(&self) -> u64 {
        if let Some(leaving) = &self.leaving {
            let last = leaving.last();
            return last.map_or(0, |(_, at)| at - self.now_micros);
        }
        let newest = self.history.counts.iter().rposition(|count| *count > 0);
        newest.map_or(0, |index| self.leaves_in_micros(index))
    }

    fn into_state(self: Box<Self>) -> State {
        State::Window(self.history)
    }
}

#[cfg(test)]
mod tests;
