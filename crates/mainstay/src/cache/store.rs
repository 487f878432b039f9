//! Entries that are made here: tagged, sealed, put or filled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::counters::Count;
use super::envelope::{Header, store_ttl};
use super::journal::Owed;
use super::policy::Layout;
use super::section::Section;
use super::tags::EVERY_ENTRY;
use crate::backend::{Fill, Lease};
use crate::error::{Error, Result};
use crate::key::Key;
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
    pub(super) async fn put(
        self: &Arc<Self>,
        text: &str,
        value: &T,
        options: &EntryOptions,
    ) -> Result<()> {
        if let Some(ttl) = options.ttl {
            Ttl::new(ttl)?;
        }
        let payload = self.codec.encode(value)?;
        self.check_size(payload.len())?;
        let outcome = self.send_value(text, value, &payload, options).await;
        // Neither the old value nor an unknown one may be found under the key later.
        self.owe_unless_sent(Owed::Key(text.into()), outcome)
    }

    async fn send_value(
        &self,
        text: &str,
        value: &T,
        payload: &Bytes,
        options: &EntryOptions,
    ) -> Result<()> {
        self.pay_debts().await?;
        let key = self.key(text);
        let _fence = self.store.watchers().fence(key.as_str());
        let making = Making {
            options,
            watermark: self.watermark().await?,
            load_time: Duration::ZERO,
        };
        match self.seal(Some(value), payload, &making).await? {
            Some(sealed) => self.store.put(&key, sealed.bytes, sealed.ttl).await,
            // Its tag was invalidated at the same time, and wins.
            None => self.store.remove(&key).await.map(drop),
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
            self.store.forfeit(&key, lease, None).await?;
            return Ok(Fill::Superseded);
        }
        let sealed = match self.prepare(value, making).await {
            Ok(Some(sealed)) => sealed,
            Ok(None) => {
                self.counters.add(Count::Superseded);
                self.store.forfeit(&key, lease, None).await?;
                return Ok(Fill::Superseded);
            }
            Err(error) => {
                self.store.forfeit(&key, lease, None).await?;
                return Err(error);
            }
        };
        let filled = self
            .store
            .fill(&key, lease, sealed.bytes, sealed.ttl)
            .await?;
        if filled == Fill::Superseded {
            self.counters.add(Count::Superseded);
        }
        Ok(filled)
    }

    async fn prepare(&self, value: Option<&T>, making: &Making<'_>) -> Result<Option<Sealed>> {
        let payload = match value {
            Some(value) => self.codec.encode(value)?,
            None => Bytes::new(),
        };
        self.check_size(payload.len())?;
        self.seal(value, &payload, making).await
    }

    /// The entry's bytes; `None` when a tag was invalidated since the watermark was read.
    async fn seal(
        &self,
        value: Option<&T>,
        payload: &Bytes,
        making: &Making<'_>,
    ) -> Result<Option<Sealed>> {
        let fresh_for = self.policy.fresh_for(value, making.options.ttl);
        let kept = self.policy.kept(fresh_for);
        let (Layout::Sealed, Some(tags), Some(watermark)) =
            (&self.policy.layout, &self.tags, making.watermark)
        else {
            return Ok(Some(Sealed {
                bytes: payload.clone(),
                ttl: store_ttl(kept)?,
            }));
        };
        let named = self.tags_of(value, making.options)?;
        let Some(tags) = tags.stamp(named, watermark, kept).await? else {
            return Ok(None);
        };
        let header = Header {
            negative: value.is_none(),
            stale: false,
            schema: self.policy.schema,
            codec: self.codec.id(),
            ttl: fresh_for,
            kept,
            load_time: making.load_time,
            tags,
        };
        Ok(Some(Sealed {
            bytes: header.seal(payload, self.policy.compress_above),
            ttl: store_ttl(kept)?,
        }))
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
            Error::with_source(crate::ErrorKind::Invalid, message, source)
        })
}
