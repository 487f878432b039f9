//! Caches of mainstay with a near cache of 64 MiB.

use std::time::Duration;

use bytes::Bytes;
use mainstay::Mainstay;
use mainstay::cache::{Cache, CacheBuilder, Near};
use mainstay::codec::Raw;

use crate::Outcome;

const NEAR_BYTES: u64 = 64 << 20;

/// A cache of plain bytes.
pub(crate) fn raw(stay: &Mainstay, name: &str) -> Outcome<Cache<Bytes>> {
    let cache = stay
        .cache::<Bytes>(name)
        .codec(Raw)
        .ttl(Duration::from_secs(3600))
        .near(Near::new(NEAR_BYTES));
    Ok(cache.build()?)
}

/// The same cache, in front of which it is.
pub(crate) fn before<T>(cache: CacheBuilder<T>) -> CacheBuilder<T> {
    cache.near(Near::new(NEAR_BYTES))
}
