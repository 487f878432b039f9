//! Entries that are made here: tagged, sealed, put or filled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;

use super::counters::Count;
use super::envelope::{Header, store_ttl};
use super::policy::Layout;
use super::section::Section;
use super::tags::EVERY_ENTRY;
use crate::backend::{Fill, Lease, LoadFailure, NewEntry, Owed, is_unsent};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, StoreKey};
use crate::ttl::Ttl;

/// The most tags of one entry, those of its cache included.
const MOST_TAGS: usize = 64;

/// What one entry has of its own.
///
/// ```
/// use std::time::Duration;
/// use mainstay::cache::EntryOptions;
///
/// let options = EntryOptions::new().ttl(Duration::from_secs(60)).tag("org/7");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct EntryOptions {
    pub(super) ttl: Option<Duration>,
    pub(super) tags: Vec<String>,
}

impl EntryOptions {
    /// Nothing of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long it is fresh, in place of the cache's ttl.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self {
            ttl: Some(ttl),
            ..self
        }
    }

    /// One more tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

/// An entry before its tags are looked up.
struct Made {
    is_negative: bool,
    payload: Bytes,
    fresh_for: Duration,
    tags: Vec<Box<str>>,
}

/// An entry as it is sent.
pub(super) struct Sealed {
    bytes: Bytes,
    ttl: Ttl,
}

/// What the maker of an entry knows of it besides its value.
pub(super) struct Making<'a> {
    pub(super) options: &'a EntryOptions,
    /// What no tag may have passed; none in a plain layout.
    pub(super) watermark: Option<u64>,
    pub(super) load_time: Duration,
    /// What was seen of the entry that it is to replace, if that is known. In a plain layout others
    /// write without leases: what they have written meanwhile stays.
    pub(super) over: Option<&'a [u8]>,
}

impl<T: Clone + Send + Sync + 'static> Section<T> {
    /// The number that an entry which is made from now on must not be overtaken by.
    pub(super) async fn watermark(&self) -> Result<Option<u64>> {
        match &self.tags {
            Some(tags) => tags.watermark().await.map(Some),
            None => Ok(None),
        }
    }

    /// Stores a value, replacing what was there.
    pub(super) async fn put(&self, text: &str, value: &T, options: &EntryOptions) -> Result<()> {
        if let Some(ttl) = options.ttl {
            Ttl::new(ttl)?;
        }
        let made = self.make(Some(value), options)?;
        let key = self.key(text);
        let _fence = self.store.watchers().fence(key.as_str());
        let outcome = self.send_value(&key, made).await;
        if let Err(refused) = &outcome
            && refused.kind() == ErrorKind::Refused
        {
            // Perhaps before the entry's turn came: what it was to replace is outdated all the same.
            let removed = self.store.remove(&key).await;
            self.owe_unless_sent(Owed::Entry(key.clone()), removed)?;
        }
        // Neither the old value nor an unknown one may be found under the key later.
        self.owe_unless_sent(Owed::Entry(key.clone()), outcome)
    }

    async fn send_value(&self, key: &StoreKey, made: Made) -> Result<()> {
        self.settle(key).await?;
        let watermark = self.watermark().await?;
        match self.seal(made, watermark, Duration::ZERO).await? {
            Some(sealed) => self.store.put(key, sealed.bytes, sealed.ttl).await,
            // Its tag was invalidated at the same time, and wins.
            None => self.store.remove(key).await.map(drop),
        }
    }

    /// Stores a value under a lease, unless something has changed since it was leased.
    ///
    /// A lease that stores nothing is given back.
    pub(super) async fn fill(
        &self,
        text: &str,
        lease: &Lease,
        value: Option<&T>,
        making: &Making<'_>,
    ) -> Result<Fill> {
        let key = self.key(text);
        if value.is_none() && self.tags.is_none() {
            // A plain layout has no room to say that there is no value.
            self.give_back(&key, lease, None).await;
            return Ok(Fill::Superseded);
        }
        // What the caller's own code does to one value must not end the task of many callers.
        let made = catch_unwind(AssertUnwindSafe(|| self.make(value, making.options)));
        let made = made.unwrap_or_else(|_panic| {
            let message = format!("ttl, tags or codec of cache {} panicked", self.name);
            Err(Error::new(ErrorKind::Codec, message))
        });
        let sealed = match made {
            Ok(made) => self.seal(made, making.watermark, making.load_time).await,
            Err(error) => Err(error),
        };
        let filled = match sealed {
            Ok(Some(Sealed { bytes, ttl })) => {
                let over = making.over.filter(|_| self.tags.is_none());
                let entry = NewEntry { bytes, ttl, over };
                let filled = self.store.fill(&key, lease, entry).await;
                // Who asks after this must not be served what was kept before; the store's own news
                // of it may come later.
                self.entries.forget(text);
                if filled.as_ref().is_err_and(|error| !is_unsent(error)) {
                    self.give_back(&key, lease, None).await;
                }
                filled
            }
            Ok(None) => {
                self.give_back(&key, lease, None).await;
                Ok(Fill::Superseded)
            }
            Err(error) => {
                self.give_back(&key, lease, None).await;
                Err(error)
            }
        };
        if let Ok(Fill::Superseded) = &filled {
            self.counters.add(Count::Superseded);
        }
        filled
    }

    /// Ends a lease without an entry. It ends by itself if that cannot be said.
    pub(super) async fn give_back(
        &self,
        key: &StoreKey,
        lease: &Lease,
        failure: Option<&LoadFailure>,
    ) {
        if let Err(error) = self.store.forfeit(key, lease, failure).await {
            tracing::debug!(cache = %self.name, %error, "lease not given back: it will expire");
        }
    }

    /// Everything about an entry that the caller's own code decides.
    fn make(&self, value: Option<&T>, options: &EntryOptions) -> Result<Made> {
        let payload = match value {
            Some(value) => self.codec.encode(value)?,
            None => Bytes::new(),
        };
        self.check_size(payload.len())?;
        let tags = match &self.policy.layout {
            Layout::Sealed => self.tags_of(value, options)?,
            Layout::Plain(_) => Vec::new(),
        };
        Ok(Made {
            is_negative: value.is_none(),
            payload,
            fresh_for: self.policy.fresh_for(value, options.ttl),
            tags,
        })
    }

    /// The entry's bytes; `None` when a tag was invalidated since the watermark was read.
    async fn seal(
        &self,
        made: Made,
        watermark: Option<u64>,
        load_time: Duration,
    ) -> Result<Option<Sealed>> {
        let kept = self.policy.kept(made.fresh_for);
        let ttl = store_ttl(kept)?;
        let (Some(tags), Some(watermark)) = (&self.tags, watermark) else {
            let bytes = made.payload;
            return Ok(Some(Sealed { bytes, ttl }));
        };
        let Some(tags) = tags.stamp(made.tags, watermark, kept).await? else {
            return Ok(None);
        };
        let header = Header {
            negative: made.is_negative,
            stale: false,
            schema: self.policy.schema,
            codec: self.codec.id(),
            ttl: made.fresh_for,
            kept,
            load_time,
            tags,
        };
        let bytes = header.seal(&made.payload, self.policy.compress_above);
        Ok(Some(Sealed { bytes, ttl }))
    }

    /// Every tag of an entry, escaped, each once.
    fn tags_of(&self, value: Option<&T>, options: &EntryOptions) -> Result<Vec<Box<str>>> {
        let of_value = match (value, &self.policy.tags_of) {
            (Some(value), Some(tags_of)) => tags_of(value),
            _ => Vec::new(),
        };
        let mut tags: Vec<Box<str>> = vec![EVERY_ENTRY.into()];
        for tag in self
            .policy
            .tags
            .iter()
            .chain(&of_value)
            .chain(&options.tags)
        {
            let tag = tag_text(tag)?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if tags.len() > MOST_TAGS {
            return Err(Error::invalid(format!(
                "entry of cache {} has more than {MOST_TAGS} tags",
                self.name
            )));
        }
        Ok(tags)
    }

    fn check_size(&self, bytes: usize) -> Result<()> {
        let most = self.policy.max_entry_bytes;
        if bytes > most {
            return Err(Error::invalid(format!(
                "value of cache {} is larger than {most} bytes (max_entry_bytes)",
                self.name
            )));
        }
        Ok(())
    }
}

/// A tag as it stands in the store: the same rules as for keys.
pub(super) fn tag_text(tag: &str) -> Result<Box<str>> {
    Key::new(tag)
        .map(|key| key.as_str().into())
        .map_err(|source| {
            let message = format!("tag is not allowed: {source}");
            Error::with_source(ErrorKind::Invalid, message, source)
        })
}
