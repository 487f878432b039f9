//! Contract of channels that keep what was published.

mod live;
mod position;

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

#[cfg(feature = "redis")]
pub(crate) use self::live::LIVE_MOST;
pub(crate) use self::live::{Live, LiveHeader};
pub use self::position::Position;
use super::GapReason;
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Keeps the latest messages of channels, numbered without a hole.
///
/// # Behaviour
/// - The messages of a log are numbered 1, 2, 3 ... in the order they were appended. Each has a
///   random mark, and the mark of the message before: two histories of one log (a failover lost
///   some, and others took their numbers) differ in their marks.
/// - A log that begins anew, since all of it was lost, has another epoch.
/// - Whatever a retention does not keep is in no page that is read later.
/// - When `listen` returns, every later append of these logs is heard, or a
///   [`LiveHistory::Missed`] stands in its place. A listener that is slow slows nobody else, and
///   holds at most `max_bytes`.
/// - An append with a key that was used within its window appends nothing and answers the
///   position of the one before.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Appends a message and tells who listens.
    ///
    /// Without a key, a message whose reply was lost is not sent again.
    async fn append(&self, log: &StoreKey, append: &Append<'_>) -> Result<Appended>;

    /// Reads what is kept from the message `from` on, that one included: at most `most` messages,
    /// and no more than about `max_bytes` of them, but at least two: the one a reader has, and the
    /// next. A log that was never written gets its epoch. Reading puts off that it is forgotten.
    async fn read(
        &self,
        log: &StoreKey,
        from: u64,
        most: NonZeroUsize,
        max_bytes: usize,
    ) -> Result<HistoryPage>;

    /// Starts to listen. Fails when the backend does not confirm in time.
    async fn listen(
        &self,
        log: &StoreKey,
        max_bytes: NonZeroUsize,
    ) -> Result<Box<dyn HistoryListener>>;
}

/// One listener's end. Dropping it ends it.
#[async_trait]
pub trait HistoryListener: fmt::Debug + Send {
    /// What was appended next. Never fails; waits while there is nothing. Cancel safe.
    async fn next(&mut self) -> LiveHistory;
}

/// One message to append.
#[derive(Debug, Clone)]
pub struct Append<'a> {
    /// Its bytes.
    pub payload: Bytes,
    /// What the log keeps from now on.
    pub keep: Keep,
    /// Appends it once: a key, and for how long it counts.
    pub once: Option<(&'a str, Ttl)>,
}

/// What a log keeps: the latest messages within all three bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Messages, at least 1.
    pub count: u64,
    /// How old they may be.
    pub age: Ttl,
    /// Their bytes together; the latest is kept though it is larger.
    pub bytes: u64,
}

impl Keep {
    /// How long a log that nobody writes or reads is remembered: long after its last message has
    /// gone, since who comes back later cannot be told what was missed.
    pub(crate) fn remembered(&self) -> Duration {
        const AT_LEAST: Duration = Duration::from_secs(7 * 24 * 3600);
        self.age
            .as_duration()
            .saturating_add(AT_LEAST)
            .min(Ttl::MAX)
    }
}

/// What an append came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Where the message is.
    pub position: Position,
    /// Whether it was there before.
    pub is_repeated: bool,
}

/// A message of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its number.
    pub sequence: u64,
    /// Its mark.
    pub mark: Box<str>,
    /// The mark of the message before; empty for the first.
    pub before: Box<str>,
    /// When it was appended, in milliseconds since 1970 of the backend's clock.
    pub appended_ms: u64,
    /// Its bytes.
    pub payload: Bytes,
}

/// A part of a log, and how far the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The latest message, kept or not; number 0 when there was none.
    pub last: Position,
    /// The number of the oldest that is kept; one above the latest when none is.
    pub first: u64,
    /// The messages, without a hole.
    pub entries: Vec<HistoryEntry>,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveHistory {
    /// A message was appended.
    Entry {
        /// The epoch of its log.
        epoch: Box<str>,
        /// The message.
        entry: HistoryEntry,
    },
    /// A message was appended that is too large to be handed out at once, or that came in a form
    /// which cannot be read: it is in the log.
    Appended,
    /// Messages may have been appended that were not heard.
    Missed(GapReason),
}
