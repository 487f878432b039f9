//! The entries of one cache in its store, and what is counted about them.

use std::sync::Arc;

use bytes::Bytes;
use metrics::{SharedString, counter};

use crate::backend::CacheStore;
use crate::codec::Codec;
use crate::error::Result;
use crate::key::{AsKey, Keyspace, Name, StoreKey};
use crate::ttl::Ttl;

/// What a cache and its loads share.
pub(super) struct Section<T> {
    pub(super) name: Name,
    label: SharedString,
    keyspace: Keyspace,
    pub(super) store: Arc<dyn CacheStore>,
    pub(super) codec: Box<dyn Codec<T>>,
    pub(super) ttl: Ttl,
}

impl<T> Section<T> {
    pub(super) fn new(
        name: Name,
        keyspace: Keyspace,
        store: Arc<dyn CacheStore>,
        codec: Box<dyn Codec<T>>,
        ttl: Ttl,
    ) -> Self {
        let label = SharedString::from_shared(name.as_str().into());
        Self {
            name,
            label,
            keyspace,
            store,
            codec,
            ttl,
        }
    }

    pub(super) fn key(&self, key: impl AsKey) -> Result<StoreKey> {
        Ok(self.keyspace.cache(&self.name, &*key.as_key()?))
    }

    /// The value in `bytes`; `None`, counted and logged, for bytes of another shape.
    pub(super) fn decode(&self, bytes: &Bytes) -> Option<T> {
        match self.codec.decode(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::debug!(cache = %self.name, %error, "entry does not decode: a miss");
                counter!("mainstay_cache_undecodable_total", "cache" => self.label.clone())
                    .increment(1);
                None
            }
        }
    }

    /// The value, counted as a hit or a miss.
    pub(super) async fn look_up(&self, key: &StoreKey) -> Result<Option<T>> {
        let bytes = self.store.get(key).await?;
        Ok(self.counted(bytes.and_then(|bytes| self.decode(&bytes))))
    }

    pub(super) fn counted<V>(&self, found: Option<V>) -> Option<V> {
        if found.is_some() {
            counter!("mainstay_cache_hits_total", "cache" => self.label.clone()).increment(1);
        } else {
            counter!("mainstay_cache_misses_total", "cache" => self.label.clone()).increment(1);
        }
        found
    }

    pub(super) fn count_load(&self) {
        counter!("mainstay_cache_loads_total", "cache" => self.label.clone()).increment(1);
    }
}
