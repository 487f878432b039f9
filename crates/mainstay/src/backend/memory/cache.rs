//! Cache entries in memory.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{Acquired, CacheStore, Entry, Fill, Lease};
use crate::clock::{Clock, Moment};
use crate::error::{Error, Result};
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// What all entries together may take.
const CAPACITY_BYTES: u64 = 256 * 1024 * 1024;

/// Parts with a capacity and a lock of their own. An entry larger than a part could not be kept.
const SHARDS: usize = 16;

/// The largest value; a part holds at least one of them.
const LARGEST_BYTES: usize = 8 * 1024 * 1024;

/// What an entry takes besides its key and value.
const OVERHEAD_BYTES: usize = 128;

/// Sizes the memory of keys that were evicted lately.
const TYPICAL_ENTRY_BYTES: u64 = 4 * 1024;

const STRIPES: usize = 64;

/// Entries are evicted when memory runs short: those used least, recently and over time.
///
/// Reads take no stripe; whatever writes an entry or a lease holds its key's stripe.
pub(super) struct MemoryCache {
    clock: Arc<dyn Clock>,
    entries: Cache<StoreKey, Stored, ByBytes>,
    stripes: [Mutex<Leases>; STRIPES],
    stripe_of: RandomState,
}

type Leases = ExpiringMap<StoreKey, Lease, Moment>;

#[derive(Debug, Clone)]
struct Stored {
    value: Bytes,
    since: Moment,
    expires_at: Moment,
    /// The lease it was filled under.
    lease: Option<Lease>,
}

impl Stored {
    fn is_fresh(&self, now: Moment) -> bool {
        now < self.expires_at
    }
}

fn check_size(value: &Bytes) -> Result<()> {
    if value.len() > LARGEST_BYTES {
        return Err(Error::invalid(
            "value is larger than 8 MiB: the memory backend keeps no larger ones",
        ));
    }
    Ok(())
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<StoreKey, Stored> for ByBytes {
    fn weight(&self, key: &StoreKey, stored: &Stored) -> u64 {
        (key.as_str().len() + stored.value.len() + OVERHEAD_BYTES) as u64
    }
}

impl MemoryCache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let typical_entries = usize::try_from(CAPACITY_BYTES / TYPICAL_ENTRY_BYTES);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .weight_capacity(CAPACITY_BYTES)
            .estimated_items_capacity(typical_entries.unwrap_or(usize::MAX))
            .build()
            .expect("invariant: both capacities are given");
        Self {
            clock,
            entries: Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            stripes: std::array::from_fn(|_| Mutex::default()),
            stripe_of: RandomState::new(),
        }
    }

    fn fresh(&self, now: Moment, key: &StoreKey) -> Option<Stored> {
        let stored = self.entries.get(key)?;
        if stored.is_fresh(now) {
            return Some(stored);
        }
        // Somebody may have stored a new one since: only an expired one may go.
        self.entries.remove_if(key, |stored| !stored.is_fresh(now));
        None
    }

    /// The leases of the keys that share a stripe with this one.
    fn stripe(&self, key: &StoreKey) -> MutexGuard<'_, Leases> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        let index = self.stripe_of.hash_one(key) as usize % STRIPES;
        let stripe = self.stripes.get(index);
        lock(stripe.expect("invariant: a remainder is below its divisor"))
    }

    /// The caller holds the stripe.
    fn store(&self, now: Moment, key: &StoreKey, value: Bytes, ttl: Ttl, lease: Option<Lease>) {
        let stored = Stored {
            value,
            since: now,
            expires_at: now.after(ttl.as_duration()),
            lease,
        };
        self.entries.insert(key.clone(), stored);
    }
}

#[async_trait]
impl CacheStore for MemoryCache {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let stored = self.fresh(self.clock.now(), key);
        Ok(stored.map(|stored| stored.value))
    }

    async fn inspect(&self, key: &StoreKey) -> Result<Option<Entry>> {
        let now = self.clock.now();
        Ok(self.fresh(now, key).map(|stored| {
            let age = now.since(stored.since);
            Entry::new(stored.value, age, stored.expires_at.since(now))
        }))
    }

    async fn put(&self, key: &StoreKey, value: Bytes, ttl: Ttl) -> Result<()> {
        check_size(&value)?;
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        leases.remove(now, key);
        self.store(now, key, value, ttl, None);
        Ok(())
    }

    async fn acquire(&self, key: &StoreKey, lease_for: Ttl) -> Result<Acquired> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        if let Some(stored) = self.fresh(now, key) {
            return Ok(Acquired::Fresh(stored.value));
        }
        if let Some(lease) = leases.get(now, key) {
            return Ok(Acquired::Busy(lease.expires_at().since(now)));
        }
        let lease = Lease::random();
        let ends = now.after(lease_for.as_duration());
        leases.insert(now, key.clone(), lease.clone(), ends);
        Ok(Acquired::Leased(lease))
    }

    async fn fill(&self, key: &StoreKey, lease: &Lease, value: Bytes, ttl: Ttl) -> Result<Fill> {
        check_size(&value)?;
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        if leases
            .get(now, key)
            .is_some_and(|held| held.value == *lease)
        {
            leases.remove(now, key);
            self.store(now, key, value, ttl, Some(lease.clone()));
            return Ok(Fill::Stored);
        }
        let same = |stored: Stored| stored.lease.as_ref() == Some(lease) && stored.value == value;
        Ok(if self.fresh(now, key).is_some_and(same) {
            Fill::Stored
        } else {
            Fill::Superseded
        })
    }

    async fn forfeit(&self, key: &StoreKey, lease: &Lease) -> Result<()> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        if leases
            .get(now, key)
            .is_some_and(|held| held.value == *lease)
        {
            leases.remove(now, key);
        }
        Ok(())
    }

    async fn remove(&self, key: &StoreKey) -> Result<bool> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        leases.remove(now, key);
        let removed = self.entries.remove(key);
        Ok(removed.is_some_and(|(_, stored)| stored.is_fresh(now)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::clock::ManualClock;
    use crate::key::{Key, Keyspace, Name};

    fn cache() -> (MemoryCache, ManualClock) {
        let clock = ManualClock::new();
        (MemoryCache::new(Arc::new(clock.clone())), clock)
    }

    fn key(text: &str) -> StoreKey {
        Keyspace::default().cache(&Name::new("c").unwrap(), &Key::new(text).unwrap())
    }

    fn minute() -> Ttl {
        Ttl::new(Duration::from_mins(1)).unwrap()
    }

    #[test]
    fn a_read_does_not_wait_for_a_writer() {
        let (cache, _) = cache();
        let key = key("k");
        let put = cache.put(&key, Bytes::from_static(b"v"), minute());
        put.now_or_never().unwrap().unwrap();
        let _writer = cache.stripe(&key);
        let got = cache.get(&key).now_or_never().unwrap().unwrap();
        assert_eq!(got.as_deref(), Some(&b"v"[..]));
    }

    #[tokio::test]
    async fn an_expired_entry_is_dropped_by_who_looks_for_it() {
        let (cache, clock) = cache();
        cache.put(&key("k"), Bytes::new(), minute()).await.unwrap();
        clock.advance(Duration::from_mins(1));
        assert_eq!(cache.entries.len(), 1);
        assert_eq!(cache.get(&key("k")).await.unwrap(), None);
        assert_eq!(cache.entries.len(), 0);
    }

    #[tokio::test]
    async fn entries_stay_below_the_capacity() {
        let (cache, _) = cache();
        let megabyte = Bytes::from(vec![0; 1024 * 1024]);
        for number in 0..1_000 {
            let key = key(&number.to_string());
            cache.put(&key, megabyte.clone(), minute()).await.unwrap();
        }
        assert!(cache.entries.weight() <= CAPACITY_BYTES);
        assert!(cache.entries.len() > 200, "{} entries", cache.entries.len());
    }

    #[tokio::test]
    async fn the_largest_value_is_kept_and_a_larger_one_is_refused() {
        let (cache, _) = cache();
        let largest = Bytes::from(vec![0; LARGEST_BYTES]);
        let larger = Bytes::from(vec![0; LARGEST_BYTES + 1]);
        cache.put(&key("k"), largest, minute()).await.unwrap();
        let refused = cache.put(&key("k"), larger, minute()).await.unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
        let kept = cache.get(&key("k")).await.unwrap();
        assert_eq!(kept.map(|value| value.len()), Some(LARGEST_BYTES));
    }
}
