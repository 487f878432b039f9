//! What a store must do: operation-level, atomic traits, one an area.
//!
//! The traits speak of outcomes (`acquire`, `take`, `fill`), never of commands, so that each
//! backend decides atomically in one step. Each trait states its contract under "Behaviour";
//! the suite in the testkit checks every sentence of it against every backend.

mod cache;
mod channel;
mod health;
mod limit;
mod lock;
mod session;
mod unpoisoned;

pub(crate) mod mailbox;
pub(crate) mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;

pub use cache::{Acquired, CacheStore, Entry, Fill, Lease};
pub use channel::{ChannelStore, Delivery, GapReason, Subscription};
pub use health::{Health, HealthReport, Status};
pub use limit::{Demand, LimitStore, Take, Window};
pub use lock::{Hold, LockRelease, LockStore, LockTry, Renewal, Wakeups};
pub use session::{
    ListedSession, NewSession, SessionKeys, SessionRecord, SessionStore, StoredSession,
};

use std::sync::Arc;

/// One opened backend: the store of each area.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) cache: Arc<dyn CacheStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) channels: Arc<dyn ChannelStore>,
    pub(crate) limits: Arc<dyn LimitStore>,
    pub(crate) locks: Arc<dyn LockStore>,
    pub(crate) health: Arc<dyn Health>,
}
