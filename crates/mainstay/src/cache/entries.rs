//! The entries of a cache as this process knows them: kept, being read, being loaded, waited for.

use std::sync::Arc;

use super::flight::Loads;
use super::loaded::Loaded;
use super::near::Near;
use super::resident::Resident;
use super::table::Table;
use super::waiters::Waiters;
use crate::backend::Watcher;
use crate::error::Result;
use crate::key::StoreKey;

/// What a read has found; `None` for nothing usable.
pub(super) type Read<T> = Result<Found<T>>;

/// What stands in the store under a key.
pub(super) enum Found<T> {
    /// An entry of this cache, fresh or not.
    Entry(Arc<Resident<T>>),
    /// Nothing that this cache can use.
    Nothing(Nothing),
}

impl<T> Clone for Found<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Entry(resident) => Self::Entry(Arc::clone(resident)),
            Self::Nothing(nothing) => Self::Nothing(nothing.clone()),
        }
    }
}

/// Why there is nothing to use, and what stands there instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Nothing {
    /// How the bytes begin that are there; empty for none.
    pub(super) seen: bytes::Bytes,
    /// They are of a newer schema, which must not be replaced by ours.
    pub(super) is_newer: bool,
}

pub(super) struct Entries<T> {
    prefix: StoreKey,
    pub(super) near: Option<Near>,
    pub(super) values: Option<Table<Arc<Resident<T>>, Read<T>>>,
    pub(super) loads: Arc<Loads<Loaded<T>>>,
    pub(super) waiters: Waiters,
}

/// Sizes the memory of keys that were evicted lately.
const TYPICAL_BYTES: u64 = 1024;

impl<T: Send + Sync + 'static> Entries<T> {
    pub(super) fn new(prefix: StoreKey, near: Option<Near>) -> Self {
        Self {
            prefix,
            near,
            values: near.map(|near| Table::new(near.max_bytes, TYPICAL_BYTES)),
            loads: Arc::default(),
            waiters: Waiters::default(),
        }
    }

    /// What is kept under the key, or being read, is not the newest.
    pub(super) fn forget(&self, key: &str) {
        if let Some(values) = &self.values {
            values.invalidate(key);
        }
    }

    fn each(&self, key: &str, change: impl Fn(&Table<Arc<Resident<T>>, Read<T>>, &str)) {
        let Some(key) = key.strip_prefix(self.prefix.as_str()) else {
            return;
        };
        if let Some(values) = &self.values {
            change(values, key);
        }
        self.loads.detach(key);
        self.waiters.wake(key);
    }
}

impl<T: Send + Sync + 'static> Watcher for Entries<T> {
    fn changed(&self, key: &str) {
        self.each(key, Table::invalidate);
    }

    fn flushed(&self) {
        if let Some(values) = &self.values {
            values.ground();
        }
        self.loads.detach_all();
        self.waiters.wake_all();
    }

    fn fence(&self, key: &str) {
        self.each(key, Table::fence);
    }

    fn unfence(&self, key: &str) {
        self.each(key, Table::unfence);
    }
}
