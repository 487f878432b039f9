//! Contract of the store of guarded values.

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Keeps values that only the latest holder of a lock may change.
///
/// # Behaviour
/// - A write with a smaller fence than the value's is refused, in the same step that compares them;
///   one with the same fence replaces the value.
/// - Value and fence are kept for the same time, which every write starts anew.
#[async_trait]
pub trait FencedStore: Send + Sync {
    /// Replaces the value unless it has a larger fence.
    async fn set(&self, key: &StoreKey, fence: u64, value: Bytes, keep: Ttl) -> Result<FencedSet>;

    /// The value and its fence.
    async fn get(&self, key: &StoreKey) -> Result<Option<(u64, Bytes)>>;
}

/// Answer of [`FencedStore::set`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FencedSet {
    /// Replaced.
    Written,
    /// Nothing changed.
    Refused {
        /// That of the value.
        fence: u64,
    },
}
