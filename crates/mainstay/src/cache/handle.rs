//! Reads and changes entries.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Entry;
use super::counters::CacheStats;
use super::entries::Found;
use super::flight::Flights;
use super::loaded::Lookup;
use super::obtain::Desk;
use super::resident::{Freshness, Resident};
use super::section::Section;
use super::store::{EntryOptions, tag_text};
use super::tags::EVERY_ENTRY;
use crate::error::Result;
use crate::key::AsKey;

/// A cache of `T`s.
///
/// Cheap to clone; clones share what is kept in the process, and their loads, which stop when the
/// last clone is dropped. The store's clock decides when an entry expires.
///
/// Values in the process are shared by cloning them: make a large `T` an `Arc` of one.
pub struct Cache<T>(pub(super) Arc<Desk<T>>);

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    pub(super) fn new(section: Section<T>) -> Self {
        let flights = Flights::new(Arc::clone(&section.entries.loads));
        Self(Arc::new(Desk {
            section: Arc::new(section),
            flights,
        }))
    }

    pub(super) fn section(&self) -> &Arc<Section<T>> {
        &self.0.section
    }

    /// The value, if there is one that is fresh; `None` as well for a stored value that is no `T`,
    /// and where it is known that there is none. Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no key;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer, and there is nothing that may be served in its place.
    #[inline]
    pub async fn get(&self, key: impl AsKey) -> Result<Option<T>> {
        let text = key.key_text()?;
        if let Some((resident, _)) = self.0.near_hit(&text) {
            return Ok(resident.value.clone());
        }
        self.get_from_store(text).await
    }

    async fn get_from_store(&self, text: Cow<'_, str>) -> Result<Option<T>> {
        let resident = self.0.look_up(&text).await?;
        Ok(resident.and_then(value_of))
    }

    /// The value with its age and the time it has left to be fresh. Cancel safe.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let cache = mainstay::Mainstay::memory().cache::<u8>("numbers").build()?;
    /// cache.set_with_ttl("one", &1, Duration::from_mins(1)).await?;
    /// let entry = cache.entry("one").await?.map(|entry| (entry.value, entry.ttl_left));
    /// assert!(entry.is_some_and(|(value, left)| value == 1 && left <= Duration::from_mins(1)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn entry(&self, key: impl AsKey) -> Result<Option<Entry<T>>> {
        Ok(match self.lookup(key).await? {
            Lookup::Value(entry) => Some(entry),
            Lookup::Negative(_) | Lookup::Miss => None,
        })
    }

    /// What is known under a key: a value, that there is none, or nothing. Cancel safe.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn lookup(&self, key: impl AsKey) -> Result<Lookup<T>> {
        let section = self.section();
        let text = key.key_text()?;
        let found = if let Some((resident, _)) = self.0.near_hit(&text) {
            Found::Entry(resident)
        } else {
            section.report();
            let found = if section.entries.values.is_some() {
                section.read(&text).await?
            } else {
                section.inspect(&text).await?
            };
            self.0.if_fresh(&text, &found);
            found
        };
        let now = section.clock.now();
        let Found::Entry(resident) = found else {
            return Ok(Lookup::Miss);
        };
        let times = resident.times();
        if times.freshness(now) != Freshness::Fresh {
            return Ok(Lookup::Miss);
        }
        let (age, left) = (times.age(now), times.fresh_until.since(now));
        Ok(match value_of(resident) {
            Some(value) => Lookup::Value(Entry::new(value, age, left)),
            None => Lookup::Negative(Entry::new((), age, left)),
        })
    }

    /// Stores a value for the cache's ttl, replacing what was there.
    ///
    /// A load that is under way serves only those who asked before. A dropped call may have taken
    /// effect.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no key, and for a value above
    /// `max_entry_bytes`; [`Codec`](crate::ErrorKind::Codec) for one that cannot be encoded;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer: the entry is then removed as soon as it does;
    /// [`Refused`](crate::ErrorKind::Refused) when it has no room: what was there is removed.
    pub async fn set(&self, key: impl AsKey, value: &T) -> Result<()> {
        self.set_with(key, value, EntryOptions::new()).await
    }

    /// As [`set`](Self::set), with a ttl of its own.
    ///
    /// # Errors
    /// As [`set`](Self::set); [`Invalid`](crate::ErrorKind::Invalid) when `ttl` is no
    /// [`Ttl`](crate::Ttl).
    pub async fn set_with_ttl(&self, key: impl AsKey, value: &T, ttl: Duration) -> Result<()> {
        self.set_with(key, value, EntryOptions::new().ttl(ttl))
            .await
    }

    /// As [`set`](Self::set), with a ttl and tags of its own.
    ///
    /// # Errors
    /// As [`set_with_ttl`](Self::set_with_ttl); [`Invalid`](crate::ErrorKind::Invalid) for a tag
    /// that is none.
    pub async fn set_with(&self, key: impl AsKey, value: &T, options: EntryOptions) -> Result<()> {
        self.section().put(&key.key_text()?, value, &options).await
    }

    /// Removes the entry; true if there was one.
    ///
    /// A load that is under way serves only those who asked before, and is not stored. A dropped
    /// call may have taken effect.
    ///
    /// # Errors
    /// As [`get`](Self::get). After [`Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`Unknown`](crate::ErrorKind::Unknown) the entry may still be there: this process sends the
    /// removal again, before it reads the key from the backend, for as long as that is open.
    pub async fn remove(&self, key: impl AsKey) -> Result<bool> {
        self.section().remove(&key.key_text()?).await
    }

    /// Declares the entry stale, so that it is served only within the cache's stale windows; true
    /// if there was one.
    ///
    /// As [`remove`](Self::remove) for loads that are under way.
    ///
    /// # Errors
    /// As [`remove`](Self::remove); [`Invalid`](crate::ErrorKind::Invalid) in a plain layout.
    pub async fn expire(&self, key: impl AsKey) -> Result<bool> {
        self.section().expire(&key.key_text()?).await
    }

    /// Makes every entry invalid that carries one of the tags, at a cost that does not depend on
    /// how many there are.
    ///
    /// Entries whose load began before are not stored after. Not atomic over several tags. A
    /// dropped call may have taken effect.
    ///
    /// # Errors
    /// As [`remove`](Self::remove); [`Invalid`](crate::ErrorKind::Invalid) for a tag that is none,
    /// before anything is sent, and in a plain layout.
    pub async fn invalidate_tags(
        &self,
        tags: impl IntoIterator<Item = impl AsRef<str> + Send> + Send,
    ) -> Result<()> {
        let tags = tags
            .into_iter()
            .map(|tag| tag_text(tag.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        let mut outcome = Ok(());
        // All are tried: each that fails is remembered.
        for tag in tags {
            outcome = outcome.and(self.section().invalidate_tag(&tag).await);
        }
        outcome
    }

    /// Makes every entry of the cache invalid, as [`invalidate_tags`](Self::invalidate_tags).
    ///
    /// # Errors
    /// As [`invalidate_tags`](Self::invalidate_tags).
    pub async fn clear(&self) -> Result<()> {
        self.section().invalidate_tag(EVERY_ENTRY).await
    }

    /// What this process has done with the cache since it was built.
    pub fn stats(&self) -> CacheStats {
        let section = self.section();
        let mut stats = section.counters.stats();
        if let Some(values) = &section.entries.values {
            stats.near_entries = values.len() as u64;
            stats.near_bytes = values.weight();
        }
        stats
    }

    /// Adds what this process has counted to the sums of all now, and not only every 10 s: for one
    /// that ends soon. A dropped call may have taken effect.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn share_stats(&self) -> Result<()> {
        let section = self.section();
        let added = section.counters.unreported();
        section.store.count(&section.sums, &added).await
    }

    /// Sums over all processes that use the cache: name and number, as in [`CacheStats`].
    ///
    /// Each process adds its own every 10 s; what nobody adds to is forgotten after a day.
    /// Cancel safe.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn shared_stats(&self) -> Result<Vec<(String, u64)>> {
        self.section().store.counts(&self.section().sums).await
    }
}

fn value_of<T: Clone>(resident: Arc<Resident<T>>) -> Option<T> {
    match Arc::try_unwrap(resident) {
        Ok(ours) => ours.value,
        Err(shared) => shared.value.clone(),
    }
}

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.0.section.name)
            .field("policy", &self.0.section.policy)
            .finish_non_exhaustive()
    }
}
