//! Get-or-load by each library that is written in Rust, as its documentation advises.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cached::{AsyncRedisCache, ConcurrentCachedAsync as _};
use mainstay::cache::Cache;
use redis::aio::MultiplexedConnection;

use super::program::Loader;
use super::workload::Profile;
use crate::Outcome;
use crate::scenario::connection;

const TTL: Duration = Duration::from_secs(300);
/// What caches in the process may hold: 64 MiB.
const CAPACITY_BYTES: u32 = 64 << 20;
/// What an entry counts for: a value of 1 KiB and its key.
const ENTRY_BYTES: u32 = 1_100;

/// What a library is asked for.
pub(super) trait GetOrLoad: Send + Sync + 'static {
    fn get_or_load(
        &self,
        key: &str,
        loader: Loader,
    ) -> impl Future<Output = Outcome<Arc<Profile>>> + Send;
}

pub(super) struct Mainstay(Cache<Arc<Profile>>);

impl Mainstay {
    pub(super) async fn open(url: &str) -> Outcome<Self> {
        let stay = mainstay::Mainstay::connect(url).await?;
        Ok(Self(stay.cache("plain").ttl(TTL).build()?))
    }

    pub(super) async fn near(url: &str) -> Outcome<Self> {
        let stay = mainstay::Mainstay::connect(url).await?;
        let cache = crate::near::before(stay.cache("near"));
        Ok(Self(cache.ttl(TTL).build()?))
    }
}

impl GetOrLoad for Mainstay {
    async fn get_or_load(&self, key: &str, loader: Loader) -> Outcome<Arc<Profile>> {
        let owned = key.to_owned();
        let load = || async { Ok::<_, Infallible>(loader.load(owned).await) };
        Ok(self.0.get_or_load(key, load).await?)
    }
}

pub(super) struct Cached(AsyncRedisCache<String, Arc<Profile>>);

impl Cached {
    pub(super) async fn open(url: &str) -> Outcome<Self> {
        let cache = AsyncRedisCache::builder("cached").ttl(TTL);
        Ok(Self(cache.connection_string(url).build().await?))
    }

    /// With the Redis client's own cache in front.
    pub(super) async fn near(url: &str) -> Outcome<Self> {
        let cache = AsyncRedisCache::builder("cached-near").ttl(TTL);
        let cache = cache.client_side_caching(true);
        Ok(Self(cache.connection_string(url).build().await?))
    }
}

impl GetOrLoad for Cached {
    async fn get_or_load(&self, key: &str, loader: Loader) -> Outcome<Arc<Profile>> {
        let key = key.to_owned();
        if let Some(found) = self.0.async_cache_get(&key).await? {
            return Ok(found);
        }
        let value = loader.load(key.clone()).await;
        self.0.async_cache_set(key, Arc::clone(&value)).await?;
        Ok(value)
    }
}

pub(super) struct Moka(moka::future::Cache<String, Arc<Profile>>);

impl Moka {
    pub(super) fn open() -> Self {
        let cache = moka::future::Cache::builder()
            .weigher(|_, _| ENTRY_BYTES)
            .max_capacity(CAPACITY_BYTES.into())
            .time_to_live(TTL);
        Self(cache.build())
    }
}

impl GetOrLoad for Moka {
    async fn get_or_load(&self, key: &str, loader: Loader) -> Outcome<Arc<Profile>> {
        let load = loader.load(key.to_owned());
        Ok(self.0.get_with_by_ref(key, load).await)
    }
}

/// Its memory cache has no time to live.
pub(super) struct Foyer(foyer_memory::Cache<String, Arc<Profile>>);

impl Foyer {
    pub(super) fn open() -> Self {
        let cache = foyer_memory::CacheBuilder::new(CAPACITY_BYTES as usize)
            .with_weighter(|_, _| ENTRY_BYTES as usize);
        Self(cache.build())
    }
}

impl GetOrLoad for Foyer {
    async fn get_or_load(&self, key: &str, loader: Loader) -> Outcome<Arc<Profile>> {
        let owned = key.to_owned();
        let load = || async { Ok::<_, Infallible>(loader.load(owned).await) };
        let entry = self.0.get_or_fetch(key, load).await?;
        Ok(Arc::clone(entry.value()))
    }
}

/// What one writes without a library.
pub(super) struct ByHand(MultiplexedConnection);

impl ByHand {
    pub(super) async fn open(url: &str) -> Outcome<Self> {
        Ok(Self(connection::bare(url).await?))
    }
}

impl GetOrLoad for ByHand {
    async fn get_or_load(&self, key: &str, loader: Loader) -> Outcome<Arc<Profile>> {
        let stored = format!("by-hand:{key}");
        if let Some(found) = connection::get(&self.0, &stored).await? {
            return Ok(Arc::new(serde_json::from_slice(&found)?));
        }
        let value = loader.load(key.to_owned()).await;
        connection::set(&self.0, &stored, &serde_json::to_vec(&*value)?).await?;
        Ok(value)
    }
}
