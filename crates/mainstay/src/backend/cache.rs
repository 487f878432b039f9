//! Contract of the cache store.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Stores cache entries and guards who may fill a missing one.
///
/// # Behaviour
/// - An entry is gone when its TTL has passed on the store's own clock.
/// - A missing entry is leased to one caller at a time; a lease ends by `fill`, by `forfeit`,
///   or after its time.
/// - `put` and `remove` end any lease on the key. A `fill` whose lease has ended stores nothing:
///   a value that was computed before an invalidation never becomes visible after it.
/// - Every method is atomic. None may be sent twice by accident with another effect than once.
#[async_trait]
pub trait CacheStore: Send + Sync {
    /// The value, if there is one.
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>>;

    /// The value with its age and the time it has left.
    async fn inspect(&self, key: &StoreKey) -> Result<Option<Entry>>;

    /// Stores a value, replacing what was there.
    async fn put(&self, key: &StoreKey, value: Bytes, ttl: Ttl) -> Result<()>;

    /// The value; or, when it is missing, the right to fill it for at most `lease_for`.
    async fn acquire(&self, key: &StoreKey, lease_for: Ttl) -> Result<Acquired>;

    /// Stores a value under a lease and ends the lease.
    async fn fill(&self, key: &StoreKey, lease: &Lease, value: Bytes, ttl: Ttl) -> Result<Fill>;

    /// Ends a lease without a value, so that the next caller may try.
    async fn forfeit(&self, key: &StoreKey, lease: &Lease) -> Result<()>;

    /// Removes the entry; true if there was one.
    async fn remove(&self, key: &StoreKey) -> Result<bool>;
}

/// A stored value and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T = Bytes> {
    /// The value.
    pub value: T,
    /// Time since it was stored.
    pub age: Duration,
    /// Time until it expires.
    pub ttl_left: Duration,
}

impl<T> Entry<T> {
    pub(crate) fn new(value: T, age: Duration, ttl_left: Duration) -> Self {
        Self {
            value,
            age,
            ttl_left,
        }
    }
}

/// The right to fill one missing entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(String);

impl Lease {
    pub(crate) fn random() -> Self {
        Self(crate::random::token())
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Answer of [`CacheStore::acquire`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acquired {
    /// There is a value.
    Fresh(Bytes),
    /// The caller may fill it.
    Leased(Lease),
    /// Somebody else may, for at most this long.
    Busy(Duration),
}

/// Answer of [`CacheStore::fill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fill {
    /// The value is stored.
    Stored,
    /// The lease had ended: nothing was stored.
    Superseded,
}
