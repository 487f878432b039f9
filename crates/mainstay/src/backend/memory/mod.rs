//! The backend inside the process: for one service, for development, and for tests.
//!
//! It keeps the same contracts as Redis, with the same algorithms, each call under one short
//! mutex. Nothing survives the process, and nothing leaves it.
//!
//! Time to live is measured on [`Clock::now`], which a step of the wall clock does not reach.
//! [`Clock::unix`] decides what must make sense outside: windows of limits, fences, epochs.

mod cache;
mod channel;
mod epoch;
mod expiring;
mod fenced;
mod health;
mod history;
mod latch;
mod limit;
mod listing;
mod lock;
mod plain_session;
mod queue;
mod session;

use std::sync::Arc;

use super::{LimitStore, Stores};
use crate::clock::Clock;

/// Limits that only this process counts, of so many subjects and policies at most.
pub(crate) fn limits(clock: Arc<dyn Clock>, most: usize) -> Arc<dyn LimitStore> {
    Arc::new(limit::MemoryLimits::new(clock, most))
}

/// Opens an empty store that reads the time from `clock`.
pub(crate) fn open(clock: Arc<dyn Clock>) -> Stores {
    Stores {
        cache: Arc::new(cache::MemoryCache::new(Arc::clone(&clock))),
        sessions: Arc::new(session::MemorySessions::new(Arc::clone(&clock))),
        plain_sessions: Arc::new(plain_session::MemoryPlainSessions::new(Arc::clone(&clock))),
        channels: Arc::new(channel::MemoryChannels::default()),
        histories: Arc::new(history::MemoryHistories::new(Arc::clone(&clock))),
        limits: Arc::new(limit::MemoryLimits::new(Arc::clone(&clock), usize::MAX)),
        locks: Arc::new(lock::MemoryLocks::new(Arc::clone(&clock))),
        shares: Arc::new(lock::MemoryLocks::new(Arc::clone(&clock))),
        latches: Arc::new(latch::MemoryLatches::new(Arc::clone(&clock))),
        fenced: Arc::new(fenced::MemoryFenced::new(Arc::clone(&clock))),
        queues: Arc::new(queue::MemoryQueues::new(clock)),
        health: Arc::new(health::MemoryHealth::new()),
    }
}
