//! Guarded values in memory.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{FencedSet, FencedStore};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

pub(super) struct MemoryFenced {
    clock: Arc<dyn Clock>,
    values: Mutex<ExpiringMap<StoreKey, (u64, Bytes), Moment>>,
}

impl MemoryFenced {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            values: Mutex::default(),
        }
    }
}

#[async_trait]
impl FencedStore for MemoryFenced {
    async fn set(&self, key: &StoreKey, fence: u64, value: Bytes, keep: Ttl) -> Result<FencedSet> {
        let mut values = lock(&self.values);
        let now = self.clock.now();
        if let Some(last) = values.get(now, key)
            && fence < last.value.0
        {
            return Ok(FencedSet::Refused {
                fence: last.value.0,
            });
        }
        let ends = now.after(keep.as_duration());
        values.insert(now, key.clone(), (fence, value), ends);
        Ok(FencedSet::Written)
    }

    async fn get(&self, key: &StoreKey) -> Result<Option<(u64, Bytes)>> {
        let mut values = lock(&self.values);
        let found = values.get(self.clock.now(), key);
        Ok(found.map(|entry| entry.value.clone()))
    }
}
