//! Latches in memory.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{Arrival, LatchStore, Turns, Wakeups};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;

pub(super) struct MemoryLatches {
    clock: Arc<dyn Clock>,
    arrived: Mutex<ExpiringMap<StoreKey, HashSet<String>, Moment>>,
    turns: Arc<Turns>,
}

impl MemoryLatches {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            arrived: Mutex::default(),
            turns: Arc::default(),
        }
    }
}

fn count(who: &HashSet<String>) -> u64 {
    u64::try_from(who.len()).unwrap_or(u64::MAX)
}

#[async_trait]
impl LatchStore for MemoryLatches {
    async fn arrive(&self, key: &StoreKey, arrival: &Arrival<'_>) -> Result<u64> {
        let mut arrived = lock(&self.arrived);
        let now = self.clock.now();
        let mut who = arrived.remove(now, key).unwrap_or_default();
        who.insert(arrival.who.to_owned());
        let count = count(&who);
        let ends = now.after(arrival.keep.as_duration());
        arrived.insert(now, key.clone(), who, ends);
        if count >= arrival.of {
            self.turns.call_all(key);
        }
        Ok(count)
    }

    async fn arrived(&self, key: &StoreKey) -> Result<u64> {
        let mut arrived = lock(&self.arrived);
        let who = arrived.get(self.clock.now(), key);
        Ok(who.map_or(0, |who| count(&who.value)))
    }

    async fn reset(&self, key: &StoreKey) -> Result<()> {
        lock(&self.arrived).remove(self.clock.now(), key);
        Ok(())
    }

    async fn wakeups(&self, key: &StoreKey) -> Result<Box<dyn Wakeups>> {
        Ok(Box::new(self.turns.wait(key, &crate::random::token())))
    }
}
