//! Names by a time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A set of names, ordered by the millisecond of each, then by name.
#[derive(Debug, Default)]
pub(super) struct Timed {
    times: HashMap<Arc<str>, u64>,
    ordered: BTreeSet<(u64, Arc<str>)>,
}

impl Timed {
    pub(super) fn insert(&mut self, name: &Arc<str>, at: u64) {
        self.remove(name);
        self.times.insert(Arc::clone(name), at);
        self.ordered.insert((at, Arc::clone(name)));
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        let Some((name, at)) = self.times.remove_entry(name) else {
            return false;
        };
        self.ordered.remove(&(at, name))
    }

    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.times.get(name).copied()
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.ordered.first().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Names whose time has come, at most so many.
    pub(super) fn due(&self, now: u64, most: usize) -> Vec<Arc<str>> {
        let due = self.ordered.iter().take_while(|(at, _)| *at <= now);
        due.take(most).map(|(_, name)| Arc::clone(name)).collect()
    }

    /// The names of the earliest times.
    pub(super) fn earliest(&self, most: usize) -> Vec<Arc<str>> {
        let names = self.ordered.iter().take(most);
        names.map(|(_, name)| Arc::clone(name)).collect()
    }

    /// Takes out the name of the latest time.
    pub(super) fn pop_last(&mut self) -> Option<(u64, Arc<str>)> {
        let (at, name) = self.ordered.pop_last()?;
        self.times.remove(&name);
        Some((at, name))
    }

    /// The latest first.
    pub(super) fn latest(&self) -> impl Iterator<Item = &Arc<str>> {
        self.ordered.iter().rev().map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_the_order_of_their_latest_times() {
        let mut names = Timed::default();
        for (name, at) in [("a", 3), ("b", 1), ("c", 1), ("d", 2), ("b", 5)] {
            names.insert(&name.into(), at);
        }
        assert!(names.remove("d") && !names.remove("d"));
        assert_eq!(names.due(3, 9), ["c".into(), "a".into()] as [Arc<str>; 2]);
        assert_eq!(
            (names.first(), names.get("b"), names.len()),
            (Some(1), Some(5), 3)
        );
        assert_eq!(names.latest().next().map(|name| &**name), Some("b"));
        assert_eq!(names.earliest(1), ["c".into()] as [Arc<str>; 1]);
        assert_eq!(names.pop_last(), Some((5, "b".into())));
        assert_eq!(names.get("b"), None);
    }
}
