//! Fills one missing entry.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::shelf::Shelf;
use crate::backend::{Acquired, Fill, Lease};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// A load that takes longer is not stored. As long as this, the loads of a key whose loading
/// process died are not stored either.
pub(super) const LEASE_FOR: Duration = Duration::from_secs(30);

/// The value of a missing entry: from the store, if somebody was faster, or from the caller.
pub(super) async fn run<T, F, Fut, E>(shelf: Arc<Shelf<T>>, key: StoreKey, load: F) -> Result<T>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let lease = match acquire(&shelf, &key).await? {
        Found::Value(value) => return Ok(value),
        Found::Missing(lease) => lease,
    };
    match call(&shelf, load).await {
        Ok((value, bytes)) => {
            if let Some(lease) = lease {
                fill(&shelf, &key, &lease, bytes).await;
            }
            Ok(value)
        }
        Err(error) => {
            if let Some(lease) = lease {
                forfeit(&shelf, &key, &lease).await;
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

async fn acquire<T>(shelf: &Shelf<T>, key: &StoreKey) -> Result<Found<T>> {
    let lease_for = Ttl::new(LEASE_FOR)?;
    let bytes = match shelf.store.acquire(key, lease_for).await? {
        Acquired::Fresh(bytes) => bytes,
        Acquired::Leased(lease) => return Ok(Found::Missing(Some(lease))),
        Acquired::Busy(_) => return Ok(Found::Missing(None)),
    };
    if let Some(value) = shelf.decode(&bytes) {
        return Ok(Found::Value(value));
    }
    // An entry of another shape gives way to a lease: a plain overwrite could bring back what
    // was loaded before an invalidation.
    shelf.store.remove(key).await?;
    Ok(match shelf.store.acquire(key, lease_for).await? {
        Acquired::Fresh(bytes) => shelf
            .decode(&bytes)
            .map_or(Found::Missing(None), Found::Value),
        Acquired::Leased(lease) => Found::Missing(Some(lease)),
        Acquired::Busy(_) => Found::Missing(None),
    })
}

/// Runs the caller's loader; its panic is an error of this load only.
async fn call<T, F, Fut, E>(shelf: &Shelf<T>, load: F) -> Result<(T, bytes::Bytes)>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    shelf.count_load();
    let loaded = AssertUnwindSafe(async move { load().await.map_err(Into::into) });
    let value = match loaded.catch_unwind().await {
        Ok(Ok(value)) => value,
        Ok(Err(source)) => {
            let message = format!("loader of cache {} failed", shelf.name);
            return Err(Error::with_source(ErrorKind::Loader, message, source));
        }
        Err(_panic) => {
            let message = format!("loader of cache {} panicked", shelf.name);
            return Err(Error::new(ErrorKind::Loader, message));
        }
    };
    let bytes = shelf.codec.encode(&value)?;
    Ok((value, bytes))
}

/// The callers get their value whether it can be stored or not.
async fn fill<T>(shelf: &Shelf<T>, key: &StoreKey, lease: &Lease, bytes: bytes::Bytes) {
    match shelf.store.fill(key, lease, bytes, shelf.ttl).await {
        Ok(Fill::Stored) => {}
        Ok(Fill::Superseded) => {
            tracing::debug!(cache = %shelf.name, "loaded value was outdated: not stored");
        }
        Err(error) => {
            tracing::warn!(cache = %shelf.name, %error, "loaded value could not be stored");
        }
    }
}

async fn forfeit<T>(shelf: &Shelf<T>, key: &StoreKey, lease: &Lease) {
    if let Err(error) = shelf.store.forfeit(key, lease).await {
        tracing::debug!(cache = %shelf.name, %error, "lease not given back: it will expire");
    }
}
