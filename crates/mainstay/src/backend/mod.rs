//! What a store must do: operation-level, atomic traits, one an area.
//!
//! The traits speak of outcomes (`acquire`, `take`, `fill`), never of commands, so that each
//! backend decides atomically in one step. Each trait states its contract under "Behaviour";
//! the suite in the testkit checks every sentence of it against every backend.

mod cache;
mod channel;
mod coherence;
mod debts;
pub(crate) mod digest;
mod fenced;
mod health;
mod history;
mod latch;
mod limit;
mod lock;
mod plain_session;
mod queue;
mod session;
mod turns;
pub(crate) mod unpoisoned;

pub(crate) mod mailbox;
pub(crate) mod memory;
#[cfg(feature = "redis")]
pub(crate) mod redis;

pub use cache::{
    Acquired, Attempt, CacheStore, Entry, Fill, Lease, LeaseId, LoadFailure, NewEntry, STALE,
    STALE_AT, Sighting, Stored,
};
pub(crate) use cache::{fingerprint, is_seen};
pub use channel::{ChannelStore, Delivery, GapReason, Subscription};
pub use coherence::{Lane, Mark, Watcher, Watchers};
pub(crate) use debts::{Debts, Owed, is_unsent};
pub use fenced::{FencedSet, FencedStore};
pub use health::{Health, HealthReport, Status};
pub use history::{
    Append, Appended, HistoryEntry, HistoryListener, HistoryPage, HistoryStore, Keep, LiveHistory,
    Position,
};
pub use latch::{Arrival, LatchStore};
pub use limit::{
    Calendar, Charge, Concurrent, Demand, Exact, Fixed, Gcra, LIMIT_MAX, LimitStore, Rule, Take,
    Unit, Window,
};
pub use lock::{
    BreakOrder, Claim, Hold, HolderView, LockLease, LockRelease, LockStore, LockTry, LockView,
    REMEMBERED, Renewal, ScanFrom, ScanPart, Wakeups,
};
pub use plain_session::{NewPlainSession, PlainLayout, PlainSession, PlainSessionStore};
pub use queue::{
    HeldJob, Letter, LetterRules, NewJob, Push, QueueStore, QueueView, Settled, Settlement, Taken,
    TakenJob, Verdict, Want,
};
pub use session::{
    Admission, Cap, Device, FieldChange, Fields, Handover, ListedSession, NewSession, OnConflict,
    Rotated, Rotation, SUCCESSORS_MAX, Save, Saved, SessionKeys, SessionRecord, SessionStore,
    SessionTimes, StoredSession, TOUCHED_EVERY, UserKeys, WhenFull,
};
#[cfg(feature = "redis")]
pub(crate) use turns::Turn;
pub(crate) use turns::Turns;

use std::sync::Arc;

/// How the processes that share a Redis hear of each other's changes of cache entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidation {
    /// The server pushes the changes of what was read (`CLIENT TRACKING`), whoever makes them.
    #[default]
    Tracking,
    /// Every process announces its own changes on a channel, with a number that shows what was
    /// missed: for servers, proxies and logins without client tracking. All processes that share
    /// the entries must use it; changes by other programs are not heard of. Not for a Cluster.
    Announcements,
}

/// One opened backend: the store of each area.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) cache: Arc<dyn CacheStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) plain_sessions: Arc<dyn PlainSessionStore>,
    pub(crate) channels: Arc<dyn ChannelStore>,
    pub(crate) histories: Arc<dyn HistoryStore>,
    pub(crate) limits: Arc<dyn LimitStore>,
    pub(crate) locks: Arc<dyn LockStore>,
    /// The same for what several may hold.
    pub(crate) shares: Arc<dyn LockStore>,
    pub(crate) latches: Arc<dyn LatchStore>,
    pub(crate) fenced: Arc<dyn FencedStore>,
    pub(crate) queues: Arc<dyn QueueStore>,
    pub(crate) health: Arc<dyn Health>,
}
