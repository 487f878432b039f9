//! Queues in memory.

mod jobs;
mod timed;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use self::jobs::{Jobs, Now};
use super::epoch::next_number;
use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{
    HeldJob, Letter, LetterRules, NewJob, Push, QueueStore, QueueView, Settled, Settlement, Taken,
    Turns, Wakeups, Want,
};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// How long a queue outlives its last use.
const KEPT: Duration = Duration::from_hours(30 * 24);

pub(super) struct MemoryQueues {
    clock: Arc<dyn Clock>,
    queues: Mutex<ExpiringMap<StoreKey, Jobs, Moment>>,
    turns: Arc<Turns>,
}

impl MemoryQueues {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            queues: Mutex::default(),
            turns: Arc::default(),
        }
    }

    /// Does something with a queue and calls who waits for what came of it.
    fn with<T>(&self, key: &StoreKey, act: impl FnOnce(&mut Jobs, Now) -> T) -> T {
        let mut queues = lock(&self.queues);
        let moment = self.clock.now();
        let now = Now {
            ms: moment.as_nanos() / 1_000_000,
            unix: self.clock.unix(),
        };
        let ends = moment.after(KEPT);
        if !queues.expire_at(moment, key, ends) {
            queues.insert(moment, key.clone(), Jobs::default(), ends);
        }
        let queue = queues.get_mut(moment, key);
        let jobs = &mut queue.expect("invariant: it was put there").value;
        let answer = act(jobs, now);
        for consumer in jobs.called(now) {
            self.turns.call(key, &consumer);
        }
        answer
    }
}

#[async_trait]
impl QueueStore for MemoryQueues {
    async fn push(&self, key: &StoreKey, jobs: &[NewJob<'_>], most: u64) -> Result<Vec<Push>> {
        Ok(self.with(key, |queue, now| queue.push(now, jobs, most)))
    }

    async fn take(&self, key: &StoreKey, want: &Want<'_>) -> Result<Taken> {
        Ok(self.with(key, |queue, now| queue.take(now, want)))
    }

    async fn renew(&self, key: &StoreKey, held: &[HeldJob<'_>], lease: Ttl) -> Result<Vec<bool>> {
        Ok(self.with(key, |queue, now| {
            let renewed = held.iter().map(|job| queue.renew(now, job, lease));
            renewed.collect()
        }))
    }

    async fn settle(
        &self,
        key: &StoreKey,
        settlements: &[Settlement<'_>],
        rules: &LetterRules,
    ) -> Result<Vec<Settled>> {
        Ok(self.with(key, |queue, now| {
            let settled = settlements.iter().map(|it| queue.settle(now, it, rules));
            settled.collect()
        }))
    }

    async fn seen(&self, key: &StoreKey) -> Result<QueueView> {
        Ok(self.with(key, |queue, _| queue.view()))
    }

    async fn letters(&self, key: &StoreKey, skip: u64, most: u64) -> Result<Vec<Letter>> {
        Ok(self.with(key, |queue, _| queue.letters(skip, most)))
    }

    async fn replay(&self, key: &StoreKey, ids: &[&str]) -> Result<u64> {
        Ok(self.with(key, |queue, now| {
            let replayed = ids.iter().filter(|id| queue.replay(now, id));
            replayed.count() as u64
        }))
    }

    async fn purge(&self, key: &StoreKey, ids: &[&str]) -> Result<u64> {
        Ok(self.with(key, |queue, _| {
            let purged = ids.iter().filter(|id| queue.purge(id));
            purged.count() as u64
        }))
    }

    async fn wakeups(&self, key: &StoreKey, consumer: &str) -> Result<Box<dyn Wakeups>> {
        Ok(Box::new(self.turns.wait(key, consumer)))
    }
}
