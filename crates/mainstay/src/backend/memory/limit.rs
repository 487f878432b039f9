//! Rate limits in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::expiring::ExpiringMap;
use super::window::{History, View};
use crate::backend::unpoisoned::lock;
use crate::backend::{Demand, LimitStore, Take};
use crate::clock::Clock;
use crate::error::Result;
use crate::key::StoreKey;

/// Histories expire on the wall clock, as the windows are cut from it.
pub(super) struct MemoryLimits {
    clock: Arc<dyn Clock>,
    histories: Mutex<ExpiringMap<StoreKey, History, Duration>>,
}

impl MemoryLimits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            histories: Mutex::default(),
        }
    }
}

#[async_trait]
impl LimitStore for MemoryLimits {
    async fn take(&self, demands: &[Demand]) -> Result<Vec<Take>> {
        let mut histories = lock(&self.histories);
        // Read under the lock: a later call never decides by an earlier time.
        let now_micros = whole_micros(self.clock.unix());
        let at = Duration::from_micros(now_micros);
        let views: Vec<View> = demands
            .iter()
            .map(|demand| {
                let history = histories.get(at, &demand.key).map(|entry| &entry.value);
                View::new(demand.window, now_micros, history)
            })
            .collect();
        let all_admitted = demands
            .iter()
            .zip(&views)
            .all(|(demand, view)| view.admits(demand.cost));

        let mut takes = Vec::with_capacity(demands.len());
        for (demand, mut view) in demands.iter().zip(views) {
            let admitted = view.admits(demand.cost);
            let retry_after = view.retry_after_micros(demand.cost);
            let charged = all_admitted && demand.cost > 0;
            if charged {
                view.charge(demand.cost);
            }
            let reset_after = Duration::from_micros(view.reset_after_micros());
            takes.push(Take {
                admitted,
                remaining: view.remaining(),
                retry_after: retry_after.map(Duration::from_micros),
                reset_after,
                at,
            });
            if (charged || view.rebased())
                && let Some(history) = view.into_history()
            {
                histories.insert(at, demand.key.clone(), history, at + reset_after);
            }
        }
        Ok(takes)
    }
}

fn whole_micros(unix: Duration) -> u64 {
    u64::try_from(unix.as_micros()).unwrap_or(u64::MAX)
}
