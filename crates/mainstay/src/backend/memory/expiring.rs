//! A map whose entries expire.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Expired entries that one operation drops at most: more than it can add, so that the map never
/// keeps more dead entries than it once had live ones, and no operation has to pay for all.
const SWEEP: usize = 4;

/// A map from `K` to `V`, each entry with the instant `T` at which it is gone.
///
/// Every operation is told the time by its caller, who reads it once for all that it decides.
#[derive(Debug)]
pub(super) struct ExpiringMap<K, V, T> {
    entries: HashMap<K, Expiring<V, T>>,
    /// The number tells entries apart that expire at the same instant.
    deadlines: BTreeMap<(T, u64), K>,
    next_number: u64,
}

/// A value and when it is gone.
#[derive(Debug)]
pub(super) struct Expiring<V, T> {
    pub(super) value: V,
    expires_at: T,
    number: u64,
}

impl<V, T: Copy> Expiring<V, T> {
    /// The first instant at which the entry is gone.
    pub(super) fn expires_at(&self) -> T {
        self.expires_at
    }
}

impl<K, V, T> Default for ExpiringMap<K, V, T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            deadlines: BTreeMap::new(),
            next_number: 0,
        }
    }
}

impl<K: Clone + Eq + Hash, V, T: Copy + Ord> ExpiringMap<K, V, T> {
    /// The entry, if it has not expired.
    pub(super) fn get(&mut self, now: T, key: &K) -> Option<&Expiring<V, T>> {
        self.sweep(now);
        self.entries.get(key).filter(|entry| entry.expires_at > now)
    }

    /// As [`get`](Self::get), to change the value.
    pub(super) fn get_mut(&mut self, now: T, key: &K) -> Option<&mut Expiring<V, T>> {
        self.sweep(now);
        self.entries
            .get_mut(key)
            .filter(|entry| entry.expires_at > now)
    }

    /// Puts a value that is gone at `expires_at`, replacing what was there.
    pub(super) fn insert(&mut self, now: T, key: K, value: V, expires_at: T) {
        self.sweep(now);
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let entry = Expiring {
            value,
            expires_at,
            number,
        };
        self.deadlines.insert((expires_at, number), key.clone());
        if let Some(old) = self.entries.insert(key, entry) {
            self.deadlines.remove(&(old.expires_at, old.number));
        }
    }

    /// Moves the end of an entry; false if there is none.
    pub(super) fn expire_at(&mut self, now: T, key: &K, expires_at: T) -> bool {
        let Some(entry) = self.get_mut(now, key) else {
            return false;
        };
        let old = (entry.expires_at, entry.number);
        entry.expires_at = expires_at;
        if let Some(key) = self.deadlines.remove(&old) {
            self.deadlines.insert((expires_at, old.1), key);
        }
        true
    }

    /// Takes an entry out; `None` if there was none or it had expired.
    pub(super) fn remove(&mut self, now: T, key: &K) -> Option<V> {
        self.sweep(now);
        let entry = self.entries.remove(key)?;
        self.deadlines.remove(&(entry.expires_at, entry.number));
        (entry.expires_at > now).then_some(entry.value)
    }

    fn sweep(&mut self, now: T) {
        for _ in 0..SWEEP {
            match self.deadlines.first_entry() {
                Some(head) if head.key().0 <= now => {
                    let key = head.remove();
                    self.entries.remove(&key);
                }
                Some(_) | None => return,
            }
        }
    }

    /// The keys of all entries, expired ones included.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// Takes out the entry that expires first.
    pub(super) fn remove_first(&mut self) {
        if let Some((_, key)) = self.deadlines.pop_first() {
            self.entries.remove(&key);
        }
    }

    /// Entries held, expired ones included.
    pub(super) fn len(&self) -> usize {
        debug_assert_eq!(self.entries.len(), self.deadlines.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u8, u64),
        Move(u8, u64),
        Remove(u8),
        Get(u8),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0_u8..20;
        prop_oneof![
            (key.clone(), 0_u64..50).prop_map(|(key, ttl)| Step::Insert(key, ttl)),
            (key.clone(), 0_u64..50).prop_map(|(key, ttl)| Step::Move(key, ttl)),
            key.clone().prop_map(Step::Remove),
            key.prop_map(Step::Get),
            (0_u64..20).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn it_answers_as_a_list_that_is_searched_for_the_living(
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let mut map = ExpiringMap::default();
            let mut list: HashMap<u8, (usize, u64)> = HashMap::new();
            let mut now = 0;
            for (value, step) in steps.into_iter().enumerate() {
                list.retain(|_, (_, expires_at)| *expires_at > now);
                match step {
                    Step::Insert(key, ttl) => {
                        map.insert(now, key, value, now + ttl);
                        list.insert(key, (value, now + ttl));
                    }
                    Step::Move(key, ttl) => {
                        let moved = list.get_mut(&key).map(|entry| entry.1 = now + ttl);
                        prop_assert_eq!(map.expire_at(now, &key, now + ttl), moved.is_some());
                    }
                    Step::Remove(key) => {
                        let removed = list.remove(&key).map(|entry| entry.0);
                        prop_assert_eq!(map.remove(now, &key), removed);
                    }
                    Step::Get(key) => {
                        let found = map.get(now, &key).map(|e| (e.value, e.expires_at()));
                        prop_assert_eq!(found, list.get(&key).copied());
                    }
                    Step::Wait(time) => now += time,
                }
                prop_assert!(map.len() >= list.values().filter(|e| e.1 > now).count());
            }
        }
    }

    #[test]
    fn what_expires_first_makes_room() {
        let mut map = ExpiringMap::default();
        for (key, ends) in [(1, 30), (2, 10), (3, 20)] {
            map.insert(0, key, (), ends);
        }
        map.remove_first();
        assert_eq!(map.len(), 2);
        assert!(map.get(0, &2).is_none() && map.get(0, &3).is_some());
    }

    #[test]
    fn each_operation_drops_a_few_of_the_expired() {
        let mut map = ExpiringMap::default();
        for key in 0..1_000 {
            map.insert(0, key, (), 10);
        }
        map.insert(0, 1_000, (), 1_000);
        assert_eq!(map.len(), 1_001);
        assert!(map.get(10, &1_000).is_some());
        assert_eq!(map.len(), 1_001 - SWEEP);
        for _ in 0..1_000 / SWEEP {
            assert!(map.get(10, &1_000).is_some());
        }
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn short_lived_entries_that_nobody_asks_for_again_do_not_pile_up() {
        let mut map = ExpiringMap::default();
        for now in 0..10_000 {
            map.insert(now, now, (), now + 10);
        }
        assert!(map.len() <= 11, "{} entries", map.len());
    }

    #[test]
    fn an_expired_entry_is_gone_though_it_was_not_dropped_yet() {
        let mut map = ExpiringMap::default();
        for key in 0..100 {
            map.insert(0, key, (), 10);
        }
        assert!(map.get(10, &99).is_none());
        assert!(map.get_mut(10, &99).is_none());
        assert!(!map.expire_at(10, &99, 20));
        assert_eq!(map.len(), 100 - 3 * SWEEP);
        assert_eq!(map.remove(10, &99), None);
    }
}
