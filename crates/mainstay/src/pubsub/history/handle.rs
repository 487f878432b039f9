//! Publishes to a history and reads it.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cursor::{Absorbed, Cursor};
use super::subscriber::{PAGE_BYTES, begin};
use super::{HistoryItem, HistorySubscriber, Start};
use crate::backend::{Append, HistoryStore, Keep, Position};
use crate::clock::Clock;
use crate::error::Result;
use crate::key::{Name, StoreKey};
use crate::pubsub::{Event, wire};
use crate::ttl::Ttl;

/// A channel of events that carry a `T`, which keeps them.
///
/// Cheap to clone. It is apart from the fire-and-forget channel of its name.
pub struct History<T> {
    shared: Arc<Shared>,
    data: PhantomData<fn() -> T>,
}

pub(super) struct Shared {
    pub(super) name: Name,
    pub(super) log: StoreKey,
    pub(super) store: Arc<dyn HistoryStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) source: String,
    pub(super) buffer_bytes: NonZeroUsize,
    pub(super) keep: Keep,
}

/// What publishing an event once came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Where the event is.
    pub position: Position,
    /// Whether an event of this id had been published there before; nothing was published now.
    pub is_repeated: bool,
}

impl<T> History<T> {
    /// For how long [`publish_once`](Self::publish_once) remembers an id: 10 minutes.
    pub const ONCE: Duration = Duration::from_secs(600);

    /// The most that [`read`](Self::read) returns: 1,000.
    pub const READ_MOST: usize = 1_000;

    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            data: PhantomData,
        }
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.shared.name
    }
}

impl<T: Serialize> History<T> {
    /// Publishes an event of a kind, with a new id and the present time; its place.
    ///
    /// A dropped call may have published.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an empty kind and an event above
    /// [`Event::MAX_BYTES`]; [`Codec`](crate::ErrorKind::Codec) for data without a JSON form;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it was not published;
    /// [`Unknown`](crate::ErrorKind::Unknown) when it may have been: it is not sent again.
    pub async fn publish(&self, kind: &str, data: &T) -> Result<Position> {
        let event = Event::new(kind, data);
        Ok(self.append(&event, None).await?.position)
    }

    /// Publishes an event; an empty source and a missing time are filled in.
    ///
    /// Cancel safety as [`publish`](Self::publish).
    ///
    /// # Errors
    /// As [`publish`](Self::publish); [`Invalid`](crate::ErrorKind::Invalid) for an empty id.
    pub async fn publish_event(&self, event: &Event<T>) -> Result<Position> {
        Ok(self.append(event, None).await?.position)
    }

    /// Publishes an event unless one of its source and id was published here in the last
    /// [10 minutes](Self::ONCE).
    ///
    /// So it may be called again until it succeeds, and does so itself when a reply is lost.
    /// Cancel safety as [`publish`](Self::publish).
    ///
    /// # Errors
    /// As [`publish_event`](Self::publish_event).
    pub async fn publish_once(&self, event: &Event<T>) -> Result<Published> {
        let source = match event.source.as_str() {
            "" => &self.shared.source,
            own => own,
        };
        let key = format!("{source}\n{}", event.id);
        self.append(event, Some(&key)).await
    }

    async fn append<D: Serialize>(
        &self,
        event: &Event<D>,
        once: Option<&str>,
    ) -> Result<Published> {
        let shared = &*self.shared;
        let now = SystemTime::UNIX_EPOCH + shared.clock.unix();
        let window = Ttl::new(Self::ONCE)?;
        let append = Append {
            payload: wire::encode(event, &shared.source, Some(now))?,
            keep: shared.keep,
            once: once.map(|id| (id, window)),
        };
        let appended = shared.store.append(&shared.log, &append).await?;
        Ok(Published {
            position: appended.position,
            is_repeated: appended.is_repeated,
        })
    }
}

impl<T: DeserializeOwned> History<T> {
    /// Listens to what is published from now on.
    ///
    /// When it returns, every later event is handed out, in order and once, or lies in a gap. Cancel
    /// safe: nothing is left behind.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer in time.
    pub async fn subscribe(&self) -> Result<HistorySubscriber<T>> {
        self.subscribe_from(Start::Now).await
    }

    /// Listens from a place of the history on; what has been published since is handed out first.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_from(&self, start: Start) -> Result<HistorySubscriber<T>> {
        HistorySubscriber::open(&self.shared, start).await
    }

    /// What is kept from a place on, at most `most` items; nothing is waited for. Cancel safe.
    ///
    /// `most` is cut to [1,000](Self::READ_MOST). Nothing is read with [`Start::Now`].
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn read(&self, start: Start, most: usize) -> Result<Vec<HistoryItem<T>>> {
        let shared = &*self.shared;
        let most = most.min(Self::READ_MOST);
        let mut items = Vec::new();
        let mut cursor: Cursor = begin(shared, start).await?;
        while let Some(left) = NonZeroUsize::new(most.saturating_sub(items.len())) {
            tokio::task::consume_budget().await;
            let from = cursor.read_from();
            // One more: the message at the cursor.
            let wanted = left.saturating_add(1);
            let page = shared.store.read(&shared.log, from, wanted, PAGE_BYTES);
            match cursor.absorb(page.await?) {
                Absorbed::Gap(gap) => items.push(HistoryItem::missing(&shared.name, gap)),
                Absorbed::Entries { entries, has_more } => {
                    for entry in entries.into_iter().take(left.get()) {
                        cursor.advance(&entry);
                        let epoch = &cursor.position().epoch;
                        items.push(HistoryItem::read(&shared.name, epoch, entry));
                    }
                    if !has_more {
                        break;
                    }
                }
            }
        }
        Ok(items)
    }
}

impl<T> Clone for History<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            data: PhantomData,
        }
    }
}

impl<T> fmt::Debug for History<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("name", &self.shared.name)
            .field("keep", &self.shared.keep)
            .finish_non_exhaustive()
    }
}
