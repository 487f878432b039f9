//! What a caller gets, and where it came from.

use std::time::Duration;

/// A value with its origin; the answer of [`Cache::fetch`](super::Cache::fetch).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched<T> {
    /// The value.
    pub value: T,
    /// Time since it was stored; zero for one that was just loaded.
    pub age: Duration,
    /// Where it came from.
    pub source: Source,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The near cache: current within its bound.
    Near,
    /// The store.
    Remote,
    /// The loader.
    Loaded,
    /// An entry past its ttl, within a window that the cache allows.
    Stale(StaleReason),
}

/// Why a value is served past its ttl.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleReason {
    /// It is being loaded anew, here or elsewhere.
    Revalidating,
    /// Loading it anew failed.
    LoadFailed,
    /// Loading it anew takes long, and goes on.
    LoadSlow,
    /// The backend cannot be asked.
    BackendDown,
}

/// As [`Fetched`], for values that may be known to be missing.
pub(super) type Loaded<T> = Fetched<Option<T>>;

impl<T> Fetched<T> {
    pub(super) fn new(value: T, age: Duration, source: Source) -> Self {
        Self { value, age, source }
    }
}

/// What stands under a key; the answer of [`Cache::lookup`](super::Cache::lookup).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup<T> {
    /// A value.
    Value(super::Entry<T>),
    /// It is known that there is no value.
    Negative(super::Entry<()>),
    /// Nothing is known.
    Miss,
}
