//! Fills one missing entry.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::section::Section;
use crate::backend::{Acquired, Fill, Lease};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// A load that takes longer is not stored. As long as this, the loads of a key whose loading
/// process died are not stored either.
pub(super) const LEASE_FOR: Duration = Duration::from_secs(30);

/// The value of a missing entry: from the store, if somebody was faster, or from the caller.
pub(super) async fn run<T, F, Fut, E>(section: Arc<Section<T>>, key: StoreKey, load: F) -> Result<T>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let lease = match acquire(&section, &key).await? {
        Found::Value(value) => return Ok(value),
        Found::Missing(lease) => lease,
    };
    match call(&section, load).await {
        Ok((value, bytes)) => {
            if let Some(lease) = lease {
                fill(&section, &key, &lease, bytes).await;
            }
            Ok(value)
        }
        Err(error) => {
            if let Some(lease) = lease {
                forfeit(&section, &key, &lease).await;
            }
            Err(error)
        }
    }
}

enum Found<T> {
    Value(T),
    /// To be loaded; to be stored as well if there is a lease.
    Missing(Option<Lease>),
}

async fn acquire<T>(section: &Section<T>, key: &StoreKey) -> Result<Found<T>> {
    let lease_for = Ttl::new(LEASE_FOR)?;
    let bytes = match section.store.acquire(key, lease_for).await? {
        Acquired::Fresh(bytes) => bytes,
        Acquired::Leased(lease) => return Ok(Found::Missing(Some(lease))),
        Acquired::Busy(_) => return Ok(Found::Missing(None)),
    };
    // What does not decode was counted when it was looked up.
    if let Ok(value) = section.codec.decode(&bytes) {
        return Ok(Found::Value(value));
    }
    // An entry of another shape gives way to a lease: a plain overwrite could bring back what
    // was loaded before an invalidation.
    section.store.remove(key).await?;
    Ok(match section.store.acquire(key, lease_for).await? {
        Acquired::Fresh(bytes) => match section.codec.decode(&bytes) {
            Ok(value) => Found::Value(value),
            Err(_) => Found::Missing(None),
        },
        Acquired::Leased(lease) => Found::Missing(Some(lease)),
        Acquired::Busy(_) => Found::Missing(None),
    })
}

/// Runs the caller's loader; its panic is an error of this load only.
async fn call<T, F, Fut, E>(section: &Section<T>, load: F) -> Result<(T, bytes::Bytes)>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    section.count_load();
    let loaded = AssertUnwindSafe(async move { load().await.map_err(Into::into) });
    let value = match loaded.catch_unwind().await {
        Ok(Ok(value)) => value,
        Ok(Err(source)) => {
            let message = format!("loader of cache {} failed", section.name);
            return Err(Error::with_source(ErrorKind::Loader, message, source));
        }
        Err(_panic) => {
            let message = format!("loader of cache {} panicked", section.name);
            return Err(Error::new(ErrorKind::Loader, message));
        }
    };
    let bytes = section.codec.encode(&value)?;
    Ok((value, bytes))
}

/// The callers get their value whether it can be stored or not.
async fn fill<T>(section: &Section<T>, key: &StoreKey, lease: &Lease, bytes: bytes::Bytes) {
    match section.store.fill(key, lease, bytes, section.ttl).await {
        Ok(Fill::Stored) => {}
        Ok(Fill::Superseded) => {
            tracing::debug!(cache = %section.name, "loaded value was outdated: not stored");
        }
        Err(error) => {
            tracing::warn!(cache = %section.name, %error, "loaded value could not be stored");
        }
    }
}

async fn forfeit<T>(section: &Section<T>, key: &StoreKey, lease: &Lease) {
    if let Err(error) = section.store.forfeit(key, lease).await {
        tracing::debug!(cache = %section.name, %error, "lease not given back: it will expire");
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use crate::backend::memory;
    use crate::cache::CacheBuilder;
    use crate::clock::ManualClock;
    use crate::error::ErrorKind;
    use crate::key::Keyspace;

    #[tokio::test]
    async fn a_loader_that_panics_is_an_error_that_says_so() {
        let stores = memory::open(Arc::new(ManualClock::new()));
        let builder = CacheBuilder::<u8>::new(stores.cache, Keyspace::default(), "c");
        let cache = builder.build().unwrap();
        let panics = || async { panic!("in a loader") };
        let error = cache
            .get_or_load::<_, _, io::Error>("k", panics)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert_eq!(error.to_string(), "loader of cache c panicked");
        let load = || async { Ok::<_, io::Error>(7) };
        assert_eq!(cache.get_or_load("k", load).await.unwrap(), 7);
        assert_eq!(cache.get("k").await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn an_entry_of_another_shape_is_a_miss_that_a_load_replaces() {
        let stores = memory::open(Arc::new(ManualClock::new()));
        let texts = CacheBuilder::<String>::new(stores.cache.clone(), Keyspace::default(), "c");
        let numbers = CacheBuilder::<u8>::new(stores.cache, Keyspace::default(), "c");
        let (texts, numbers) = (texts.build().unwrap(), numbers.build().unwrap());
        texts.set("k", &"seven".to_owned()).await.unwrap();
        assert_eq!(numbers.get("k").await.unwrap(), None);
        let load = || async { Ok::<_, io::Error>(7) };
        assert_eq!(numbers.get_or_load("k", load).await.unwrap(), 7);
        assert_eq!(numbers.get("k").await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn what_was_loaded_before_a_removal_is_not_stored_after_it() {
        let stores = memory::open(Arc::new(ManualClock::new()));
        let builder = CacheBuilder::<u8>::new(stores.cache, Keyspace::default(), "c");
        let cache = builder.build().unwrap();
        let (open, gate) = tokio::sync::oneshot::channel();
        let (started, start) = tokio::sync::oneshot::channel();
        let load = || async {
            started.send(()).unwrap();
            gate.await
        };
        let removal = async {
            start.await.unwrap();
            assert!(!cache.remove("k").await.unwrap());
            open.send(7).unwrap();
        };
        let (loaded, ()) = tokio::join!(cache.get_or_load("k", load), removal);
        assert_eq!(loaded.unwrap(), 7);
        assert_eq!(cache.get("k").await.unwrap(), None);
    }
}
