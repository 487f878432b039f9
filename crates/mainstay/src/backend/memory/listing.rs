//! One user's sessions by when they end.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::clock::Moment;

/// Ids of sessions, ordered by when each ends if it is not used.
#[derive(Debug, Default)]
pub(super) struct Listing {
    deadlines: HashMap<Arc<str>, Moment>,
    ordered: BTreeSet<(Moment, Arc<str>)>,
}

impl Listing {
    pub(super) fn insert(&mut self, id_hash: &str, deadline: Moment) {
        self.remove(id_hash);
        let id_hash: Arc<str> = id_hash.into();
        self.deadlines.insert(Arc::clone(&id_hash), deadline);
        self.ordered.insert((deadline, id_hash));
    }

    pub(super) fn remove(&mut self, id_hash: &str) {
        if let Some((id_hash, deadline)) = self.deadlines.remove_entry(id_hash) {
            self.ordered.remove(&(deadline, id_hash));
        }
    }

    pub(super) fn contains(&self, id_hash: &str) -> bool {
        self.deadlines.contains_key(id_hash)
    }

    /// Drops what is dead by now.
    pub(super) fn prune(&mut self, now: Moment) {
        while let Some((deadline, _)) = self.ordered.first()
            && *deadline <= now
            && let Some((_, id_hash)) = self.ordered.pop_first()
        {
            self.deadlines.remove(&id_hash);
        }
    }

    /// Takes out what ends first.
    pub(super) fn pop_first(&mut self) -> Option<String> {
        let (_, id_hash) = self.ordered.pop_first()?;
        self.deadlines.remove(&id_hash);
        Some(id_hash.to_string())
    }

    pub(super) fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Newest deadline first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.ordered.iter().rev().map(|(_, id_hash)| &**id_hash)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};

    #[test]
    fn the_newest_deadline_comes_first_and_the_dead_go() {
        let start = ManualClock::new().now();
        let at = |seconds| start.after(Duration::from_secs(seconds));
        let mut listing = Listing::default();
        for (id_hash, seconds) in [("a", 3), ("b", 1), ("c", 2), ("d", 4), ("b", 5)] {
            listing.insert(id_hash, at(seconds));
        }
        listing.remove("d");
        assert_eq!(listing.iter().collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(listing.pop_first().as_deref(), Some("c"));
        listing.prune(at(3));
        assert_eq!(listing.iter().collect::<Vec<_>>(), ["b"]);
        assert_eq!((listing.len(), listing.deadlines.len()), (1, 1));
    }
}
