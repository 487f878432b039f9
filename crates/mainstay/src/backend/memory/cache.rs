//! Cache entries in memory.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::epoch::next_number;
use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{
    Acquired, Attempt, CacheStore, Fill, Lane, Lease, LeaseId, LoadFailure, NewEntry, STALE,
    STALE_AT, Sighting, Stored, Watchers, is_seen,
};
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

/// For how long those who waited for a load are told that it failed.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// Counters that nobody adds to are forgotten after this.
const COUNTERS_KEPT: Duration = Duration::from_hours(24);

/// Entries are evicted when memory runs short: those used least, recently and over time.
///
/// Reads take no stripe; whatever writes an entry or a lease holds its key's stripe, and tells the
/// watchers before it lets go.
pub(super) struct MemoryCache {
    clock: Arc<dyn Clock>,
    entries: Cache<StoreKey, Kept, ByBytes>,
    stripes: [Mutex<Leases>; STRIPES],
    stripe_of: RandomState,
    /// Held by whoever decides on a counter and a tag together.
    tags: Mutex<()>,
    counters: Mutex<ExpiringMap<StoreKey, BTreeMap<&'static str, u64>, Moment>>,
    watchers: Arc<Watchers>,
    lane: Arc<Lane>,
}

type Leases = ExpiringMap<StoreKey, Standing, Moment>;

/// What is known of the right to fill an entry.
#[derive(Debug)]
enum Standing {
    Held(Lease),
    /// The load under that lease failed; everybody is told until then.
    Failed {
        id: LeaseId,
        message: String,
        told_until: Moment,
    },
}

impl Standing {
    fn is_held_by(&self, lease: &Lease) -> bool {
        matches!(self, Self::Held(held) if held == lease)
    }
}

#[derive(Debug, Clone)]
struct Kept {
    value: Bytes,
    expires_at: Moment,
    /// The lease it was filled under.
    lease: Option<Lease>,
}

impl Kept {
    fn is_alive(&self, now: Moment) -> bool {
        now < self.expires_at
    }

    fn stored(self, now: Moment) -> Stored {
        Stored {
            bytes: self.value,
            ttl_left: Some(self.expires_at.since(now)),
        }
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

impl Weighter<StoreKey, Kept> for ByBytes {
    fn weight(&self, key: &StoreKey, kept: &Kept) -> u64 {
        (key.as_str().len() + kept.value.len() + OVERHEAD_BYTES) as u64
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
            tags: Mutex::default(),
            counters: Mutex::default(),
            watchers: Arc::default(),
            lane: Lane::immediate(),
        }
    }

    fn alive(&self, now: Moment, key: &StoreKey) -> Option<Kept> {
        let kept = self.entries.get(key)?;
        if kept.is_alive(now) {
            return Some(kept);
        }
        // Somebody may have stored a new one since: only an expired one may go.
        self.entries.remove_if(key, |kept| !kept.is_alive(now));
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
    fn store(&self, key: &StoreKey, value: Bytes, expires_at: Moment, lease: Option<Lease>) {
        let kept = Kept {
            value,
            expires_at,
            lease,
        };
        self.entries.insert(key.clone(), kept);
        self.watchers.changed(key.as_str());
    }

    /// A number kept as an entry; the caller holds `tags`.
    fn number(&self, now: Moment, key: &StoreKey) -> Option<(u64, Moment)> {
        let kept = self.alive(now, key)?;
        let text = std::str::from_utf8(&kept.value).ok()?;
        Some((text.parse().ok()?, kept.expires_at))
    }

    fn store_number(&self, key: &StoreKey, number: u64, expires_at: Moment) {
        self.store(key, number.to_string().into(), expires_at, None);
    }
}

#[async_trait]
impl CacheStore for MemoryCache {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let kept = self.alive(self.clock.now(), key);
        Ok(kept.map(|kept| kept.value))
    }

    async fn inspect(&self, key: &StoreKey) -> Result<Option<Stored>> {
        let now = self.clock.now();
        Ok(self.alive(now, key).map(|kept| kept.stored(now)))
    }

    async fn sight(&self, key: &StoreKey) -> Result<Sighting> {
        let mark = Some(self.lane.mark());
        let stored = self.inspect(key).await?;
        Ok(Sighting { stored, mark })
    }

    async fn sight_many(&self, keys: &[StoreKey]) -> Result<Vec<Sighting>> {
        let mut sightings = Vec::with_capacity(keys.len());
        for key in keys {
            sightings.push(self.sight(key).await?);
        }
        Ok(sightings)
    }

    async fn put(&self, key: &StoreKey, value: Bytes, ttl: Ttl) -> Result<()> {
        check_size(&value)?;
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        leases.remove(now, key);
        self.store(key, value, now.after(ttl.as_duration()), None);
        Ok(())
    }

    async fn acquire(&self, key: &StoreKey, attempt: &Attempt) -> Result<Acquired> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        if let Some(kept) = self.alive(now, key)
            && !kept.value.is_empty()
            && (attempt.seen.is_empty() || !is_seen(&kept.value, &attempt.seen))
        {
            return Ok(Acquired::Fresh(kept.stored(now)));
        }
        if let Some(standing) = leases.get(now, key) {
            match &standing.value {
                Standing::Held(lease) => {
                    return Ok(Acquired::Busy {
                        left: standing.expires_at().since(now),
                        holder: lease.id(),
                        is_heard: true,
                    });
                }
                Standing::Failed {
                    id,
                    message,
                    told_until,
                } if now < *told_until || attempt.waited_for.as_ref() == Some(id) => {
                    return Ok(Acquired::Failed(message.clone()));
                }
                Standing::Failed { .. } => {}
            }
        }
        let lease = Lease::random();
        let ends = now.after(attempt.lease_for.as_duration());
        leases.insert(now, key.clone(), Standing::Held(lease.clone()), ends);
        Ok(Acquired::Leased(lease))
    }

    async fn renew(&self, key: &StoreKey, lease: &Lease, lease_for: Ttl) -> Result<bool> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        let held = leases.get(now, key);
        if !held.is_some_and(|standing| standing.value.is_held_by(lease)) {
            return Ok(false);
        }
        Ok(leases.expire_at(now, key, now.after(lease_for.as_duration())))
    }

    async fn fill(&self, key: &StoreKey, lease: &Lease, entry: NewEntry<'_>) -> Result<Fill> {
        let NewEntry { bytes, ttl, over } = entry;
        check_size(&bytes)?;
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        let current = self.alive(now, key);
        let held = leases.get(now, key);
        if !held.is_some_and(|standing| standing.value.is_held_by(lease)) {
            let same = |kept: Kept| kept.lease.as_ref() == Some(lease) && kept.value == bytes;
            return Ok(if current.is_some_and(same) {
                Fill::Stored
            } else {
                Fill::Superseded
            });
        }
        leases.remove(now, key);
        let current = current.map_or_else(Bytes::new, |kept| kept.value);
        let is_other =
            |over: &[u8]| current.is_empty() != over.is_empty() || !is_seen(&current, over);
        if over.is_some_and(is_other) {
            self.watchers.changed(key.as_str());
            return Ok(Fill::Superseded);
        }
        let expires_at = now.after(ttl.as_duration());
        self.store(key, bytes, expires_at, Some(lease.clone()));
        Ok(Fill::Stored)
    }

    async fn forfeit(
        &self,
        key: &StoreKey,
        lease: &Lease,
        failure: Option<&LoadFailure>,
    ) -> Result<()> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        let held = leases.get(now, key);
        if !held.is_some_and(|standing| standing.value.is_held_by(lease)) {
            return Ok(());
        }
        leases.remove(now, key);
        if let Some(failure) = failure {
            let failed = Standing::Failed {
                id: lease.id(),
                message: failure.message.clone(),
                told_until: now.after(failure.told_for),
            };
            let ends = now.after(failure.told_for.max(FAILURE_KEPT));
            leases.insert(now, key.clone(), failed, ends);
        }
        self.watchers.changed(key.as_str());
        Ok(())
    }

    async fn remove(&self, key: &StoreKey) -> Result<bool> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        leases.remove(now, key);
        let removed = self.entries.remove(key);
        self.watchers.changed(key.as_str());
        Ok(removed.is_some_and(|(_, kept)| kept.is_alive(now)))
    }

    async fn expire(&self, key: &StoreKey) -> Result<bool> {
        let mut leases = self.stripe(key);
        let now = self.clock.now();
        leases.remove(now, key);
        let kept = self.alive(now, key);
        let expired = kept.and_then(|kept| {
            let mut bytes = kept.value.to_vec();
            *bytes.get_mut(STALE_AT)? |= STALE;
            Some((bytes, kept.expires_at))
        });
        let found = expired.is_some();
        match expired {
            Some((bytes, expires_at)) => self.store(key, bytes.into(), expires_at, None),
            None => self.watchers.changed(key.as_str()),
        }
        Ok(found)
    }

    async fn touch(&self, key: &StoreKey, seen: &[u8], ttl: Ttl) -> Result<bool> {
        let _leases = self.stripe(key);
        let now = self.clock.now();
        let kept = self.alive(now, key);
        let Some(kept) = kept.filter(|kept| is_seen(&kept.value, seen)) else {
            return Ok(false);
        };
        let expires_at = now.after(ttl.as_duration());
        self.store(key, kept.value, expires_at, kept.lease);
        Ok(true)
    }

    async fn watermark(&self, counter: &StoreKey) -> Result<u64> {
        let _turn = lock(&self.tags);
        let now = self.clock.now();
        if let Some((number, _)) = self.number(now, counter) {
            return Ok(number);
        }
        let number = next_number(None, self.clock.unix());
        self.store_number(counter, number, now.after(Ttl::MAX));
        Ok(number)
    }

    async fn create_tag(
        &self,
        counter: &StoreKey,
        tag: &StoreKey,
        watermark: u64,
        ttl: Ttl,
    ) -> Result<Option<u64>> {
        let _turn = lock(&self.tags);
        let now = self.clock.now();
        let ends = now.after(ttl.as_duration());
        let (current, expires_at) = match self.number(now, tag) {
            Some(known) => known,
            None if self.number(now, counter).map(|(n, _)| n) == Some(watermark) => {
                (watermark, now)
            }
            None => return Ok(None),
        };
        if expires_at < ends {
            self.store_number(tag, current, ends);
        }
        Ok(Some(current))
    }

    async fn invalidate_tag(&self, counter: &StoreKey, tag: &StoreKey) -> Result<()> {
        let _turn = lock(&self.tags);
        let now = self.clock.now();
        let last = self.number(now, counter).map(|(number, _)| number);
        let number = next_number(last, self.clock.unix());
        self.store_number(counter, number, now.after(Ttl::MAX));
        if let Some((_, expires_at)) = self.number(now, tag) {
            self.store_number(tag, number, expires_at);
        }
        Ok(())
    }

    async fn count(&self, counters: &StoreKey, added: &[(&'static str, u64)]) -> Result<()> {
        let now = self.clock.now();
        let mut all = lock(&self.counters);
        let mut sums = all.remove(now, counters).unwrap_or_default();
        for (name, more) in added {
            *sums.entry(*name).or_default() += more;
        }
        all.insert(now, counters.clone(), sums, now.after(COUNTERS_KEPT));
        Ok(())
    }

    async fn counts(&self, counters: &StoreKey) -> Result<Vec<(String, u64)>> {
        let mut all = lock(&self.counters);
        let sums = all.get(self.clock.now(), counters);
        Ok(sums.map_or_else(Vec::new, |sums| {
            let pairs = sums.value.iter();
            pairs
                .map(|(name, sum)| ((*name).to_owned(), *sum))
                .collect()
        }))
    }

    fn watchers(&self) -> &Arc<Watchers> {
        &self.watchers
    }
}

#[cfg(test)]
mod tests;
