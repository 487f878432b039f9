//! Follows a history: from the log while behind, from what is told while up to date.
//!
//! Listening begins before the log is read, so nothing falls between. Whatever is not heard, or is
//! dropped because the subscriber is slow, is read from the log: it costs no memory, and is lost
//! only once the retention has passed it.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::HistoryItem;
use super::cursor::{Absorbed, Cursor, Standing};
use super::handle::Shared;
use crate::backend::{HistoryEntry, HistoryListener, LiveHistory, Position};
use crate::clock::Moment;
use crate::error::Result;
use crate::random;

/// Messages that are read at a time.
const PAGE: NonZeroUsize = NonZeroUsize::new(256).expect("invariant: not zero");
/// Bytes that are read at a time, about.
pub(super) const PAGE_BYTES: usize = 1 << 20;
/// Beyond every number, to learn of the latest alone.
const END: u64 = 1 << 53;

/// A quiet history is looked at this often, in case that what was told did not arrive.
const CHECK_EVERY: Duration = Duration::from_secs(25);
/// How soon it is looked at when there is a reason.
const CHECK_SOON: Duration = Duration::from_secs(1);
/// The first and the longest pause after the log could not be read.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Where a subscriber begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With the next event that is published.
    Now,
    /// With the oldest that is kept.
    Beginning,
    /// With the one after this place. Events that are not kept any more are a gap.
    After(Position),
}

/// Hands out the events of a history, in order and each once, and a gap where some are missing.
///
/// Losing the backend does not end it: it goes on where it was. Dropping it unsubscribes.
pub struct HistorySubscriber<T> {
    shared: Arc<Shared>,
    listener: Box<dyn HistoryListener>,
    cursor: Cursor,
    ready: VecDeque<HistoryEntry>,
    is_behind: bool,
    check_at: Moment,
    pause: Duration,
    data: PhantomData<fn() -> T>,
}

impl<T> HistorySubscriber<T> {
    pub(super) async fn open(shared: &Arc<Shared>, start: Start) -> Result<Self> {
        let listener = shared.store.listen(&shared.log, shared.buffer_bytes);
        let listener = listener.await?;
        let is_behind = start != Start::Now;
        let cursor = begin(shared, start).await?;
        let mut subscriber = Self {
            shared: Arc::clone(shared),
            listener,
            cursor,
            ready: VecDeque::new(),
            is_behind,
            check_at: Moment::default(),
            pause: PAUSES.0,
            data: PhantomData,
        };
        subscriber.check_after(CHECK_EVERY);
        Ok(subscriber)
    }

    /// The place after which it goes on: that of what was handed out last.
    pub fn position(&self) -> &Position {
        self.cursor.position()
    }

    /// Many subscribers that began together do not look together.
    fn check_after(&mut self, time: Duration) {
        let time = time.mul_f64(0.8) + random::up_to(time.mul_f64(0.4));
        self.check_at = self.shared.clock.now().after(time);
    }

    fn hear(&mut self, heard: LiveHistory) {
        match heard {
            LiveHistory::Entry { epoch, entry } => match self.cursor.standing(&epoch, &entry) {
                Standing::Next => {
                    self.ready.push_back(entry);
                    self.check_after(CHECK_EVERY);
                }
                Standing::Known => {}
                Standing::Doubtful => {
                    let soon = self.shared.clock.now().after(CHECK_SOON);
                    self.check_at = self.check_at.min(soon);
                }
                Standing::Beyond => self.is_behind = true,
            },
            LiveHistory::Appended | LiveHistory::Missed(_) => self.is_behind = true,
        }
    }
}

impl<T: DeserializeOwned> HistorySubscriber<T> {
    /// The next event or gap; waits while there is none. Cancel safe.
    pub async fn next(&mut self) -> HistoryItem<T> {
        loop {
            // A subscriber that never catches up would otherwise never yield to other tasks.
            tokio::task::consume_budget().await;
            if let Some(entry) = self.ready.pop_front() {
                self.cursor.advance(&entry);
                let epoch = &self.cursor.position().epoch;
                return HistoryItem::read(&self.shared.name, epoch, entry);
            }
            if self.is_behind {
                if let Some(gap) = self.catch_up().await {
                    return gap;
                }
                continue;
            }
            let check = self.shared.clock.sleep_until(self.check_at);
            tokio::select! {
                biased;
                heard = self.listener.next() => self.hear(heard),
                () = check => self.is_behind = true,
            }
        }
    }

    /// Reads a page of the log; a gap if it does not go on where the cursor is.
    async fn catch_up(&mut self) -> Option<HistoryItem<T>> {
        let Shared {
            store,
            log,
            clock,
            name,
            buffer_bytes,
            ..
        } = &*self.shared;
        let most_bytes = buffer_bytes.get().clamp(PAGE_BYTES / 16, PAGE_BYTES);
        let from = self.cursor.read_from();
        let page = match store.read(log, from, PAGE, most_bytes).await {
            Ok(page) => page,
            Err(error) => {
                tracing::debug!(%error, channel = %name, "history cannot be read: trying again");
                let wait = self.pause / 2 + random::up_to(self.pause / 2);
                clock.sleep_until(clock.now().after(wait)).await;
                self.pause = (self.pause * 2).min(PAUSES.1);
                return None;
            }
        };
        self.pause = PAUSES.0;
        match self.cursor.absorb(page) {
            Absorbed::Gap(gap) => Some(HistoryItem::missing(name, gap)),
            Absorbed::Entries { entries, has_more } => {
                self.ready.extend(entries);
                self.is_behind = has_more;
                self.check_after(CHECK_EVERY);
                None
            }
        }
    }
}

/// Where a subscriber or a reader stands before its first message.
pub(super) async fn begin(shared: &Shared, start: Start) -> Result<Cursor> {
    let (from, most) = match start {
        Start::After(position) => return Ok(Cursor::after(position)),
        Start::Beginning => (1, NonZeroUsize::MIN),
        Start::Now => (END, NonZeroUsize::MIN),
    };
    let page = shared.store.read(&shared.log, from, most, 1).await?;
    Ok(match start {
        Start::Beginning => Cursor::before_all(&page),
        Start::Now | Start::After(_) => Cursor::after(page.last),
    })
}

impl<T> fmt::Debug for HistorySubscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistorySubscriber")
            .field("channel", &self.shared.name)
            .field("position", self.cursor.position())
            .field("is_behind", &self.is_behind)
            .finish_non_exhaustive()
    }
}
