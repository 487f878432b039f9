//! The caches that requests name, each made once.

use bytes::Bytes;
use mainstay::Mainstay;
use mainstay::cache::{Cache, Near};
use mainstay::codec::Raw;
use quick_cache::sync::Cache as Map;

/// Caches that are kept; clients choose the names, and each has tables of its own.
const MOST: usize = 64;

/// Caches by name; those used least are forgotten, and made again when they are asked for.
pub(crate) struct Caches {
    stay: Mainstay,
    near: Option<Near>,
    by_name: Map<String, Cache<Bytes>>,
}

impl Caches {
    /// All near caches together take at most about `near_bytes`; none where that is too little.
    pub(crate) fn new(stay: Mainstay, near_bytes: usize) -> Self {
        let each = near_bytes as u64 / MOST as u64;
        Self {
            stay,
            near: (each >= Near::MIN_BYTES).then(|| Near::new(each)),
            by_name: Map::new(MOST),
        }
    }

    pub(crate) fn get(&self, name: &str) -> mainstay::Result<Cache<Bytes>> {
        self.by_name.get_or_insert_with(name, || {
            let cache = self.stay.cache::<Bytes>(name).codec(Raw);
            match self.near {
                Some(near) => cache.near(near).build(),
                None => cache.build(),
            }
        })
    }
}
