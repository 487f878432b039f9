//! Publishes to a channel and subscribes to it.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Event, Subscriber, wire};
use crate::backend::ChannelStore;
use crate::clock::Clock;
use crate::error::Result;
use crate::key::{Keyspace, Name, StoreKey};

/// A channel of events that carry a `T`: fire and forget.
///
/// Cheap to clone.
pub struct Channel<T> {
    shared: Arc<Shared>,
    data: PhantomData<fn() -> T>,
}

pub(super) struct Shared {
    pub(super) name: Name,
    pub(super) key: StoreKey,
    pub(super) store: Arc<dyn ChannelStore>,
    pub(super) keyspace: Keyspace,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) source: String,
    pub(super) buffer_bytes: NonZeroUsize,
}

impl<T> Channel<T> {
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

impl<T: Serialize> Channel<T> {
    /// Publishes an event of a kind, with a new id and the present time.
    ///
    /// Answers the number of subscribers it was handed to, as far as the backend knows; in a
    /// Cluster that is those of one node. A dropped call may have published.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an empty kind and an event above
    /// [`Event::MAX_BYTES`]; [`Codec`](crate::ErrorKind::Codec) for data without a JSON form;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it was not published;
    /// [`Unknown`](crate::ErrorKind::Unknown) when it may have been: it is not sent again.
    pub async fn publish(&self, kind: &str, data: &T) -> Result<u64> {
        self.send(&Event::new(kind, data)).await
    }

    /// Publishes an event; an empty source and a missing time are filled in.
    ///
    /// Answer and cancel safety as [`publish`](Self::publish).
    ///
    /// # Errors
    /// As [`publish`](Self::publish); [`Invalid`](crate::ErrorKind::Invalid) for an empty id.
    pub async fn publish_event(&self, event: &Event<T>) -> Result<u64> {
        self.send(event).await
    }

    async fn send<D: Serialize>(&self, event: &Event<D>) -> Result<u64> {
        let shared = &*self.shared;
        let now = SystemTime::UNIX_EPOCH + shared.clock.unix();
        let payload = wire::encode(event, &shared.source, Some(now))?;
        shared.store.publish(&shared.key, payload).await
    }
}

impl<T: DeserializeOwned> Channel<T> {
    /// Starts to listen.
    ///
    /// When it returns, every later event arrives, or a gap in its place. Cancel safe: nothing is
    /// left behind.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not confirm in time.
    pub async fn subscribe(&self) -> Result<Subscriber<T>> {
        let shared = &*self.shared;
        let channels = std::slice::from_ref(&shared.name);
        let buffer_bytes = shared.buffer_bytes.get();
        Subscriber::open(&*shared.store, &shared.keyspace, channels, buffer_bytes).await
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            data: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("name", &self.shared.name)
            .field("source", &self.shared.source)
            .finish_non_exhaustive()
    }
}
