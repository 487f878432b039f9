//! What a channel is called and how much a subscriber may hold.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::channel::{Channel, Shared};
use super::history::{HistoryBuilder, Retention};
use crate::backend::{ChannelStore, HistoryStore};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::key::{Keyspace, Name};

/// Source of events whose publisher names none.
pub(super) const DEFAULT_SOURCE: &str = "mainstay";

/// Defines a [`Channel`]; made by [`Mainstay::channel`](crate::Mainstay::channel).
#[must_use]
pub struct ChannelBuilder<T> {
    store: Arc<dyn ChannelStore>,
    histories: Arc<dyn HistoryStore>,
    keyspace: Keyspace,
    clock: Arc<dyn Clock>,
    name: String,
    source: String,
    buffer_bytes: usize,
    data: PhantomData<fn() -> T>,
}

impl<T> ChannelBuilder<T> {
    pub(crate) fn new(
        store: Arc<dyn ChannelStore>,
        histories: Arc<dyn HistoryStore>,
        keyspace: Keyspace,
        clock: Arc<dyn Clock>,
        name: &str,
    ) -> Self {
        Self {
            store,
            histories,
            keyspace,
            clock,
            name: name.to_owned(),
            source: DEFAULT_SOURCE.to_owned(),
            buffer_bytes: 1024 * 1024,
            data: PhantomData,
        }
    }

    /// The `CloudEvents` source of what is published here; default `mainstay`.
    pub fn source(self, source: impl Into<String>) -> Self {
        let source = source.into();
        Self { source, ..self }
    }

    /// Most bytes of events that a subscriber has not taken yet; default 1 MiB, at least 1.
    /// More are dropped, and a gap stands where they were.
    pub fn buffer_bytes(self, buffer_bytes: usize) -> Self {
        Self {
            buffer_bytes,
            ..self
        }
    }

    /// Makes it a channel that keeps what is published.
    ///
    /// Its subscribers are never behind for good: what does not fit in the
    /// [buffer](Self::buffer_bytes) is read from the history.
    pub fn history(self, retention: Retention) -> HistoryBuilder<T> {
        HistoryBuilder {
            buffer: buffer(self.buffer_bytes),
            store: self.histories,
            keyspace: self.keyspace,
            clock: self.clock,
            name: self.name,
            source: self.source,
            retention,
            data: PhantomData,
        }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`], the source is empty or
    /// the buffer has no byte.
    pub fn build(self) -> Result<Channel<T>> {
        let name = Name::new(&self.name)?;
        if self.source.is_empty() {
            return Err(Error::invalid("source of a channel is empty"));
        }
        Ok(Channel::new(Shared {
            key: self.keyspace.channel(&name),
            name,
            store: self.store,
            keyspace: self.keyspace,
            clock: self.clock,
            source: self.source,
            buffer_bytes: buffer(self.buffer_bytes)?,
        }))
    }
}

pub(super) fn buffer(bytes: usize) -> Result<NonZeroUsize> {
    NonZeroUsize::new(bytes)
        .ok_or_else(|| Error::invalid("buffer of a subscriber must be at least 1 byte"))
}

impl<T> fmt::Debug for ChannelBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("name", &self.name)
            .field("source", &self.source)
            .field("buffer_bytes", &self.buffer_bytes)
            .finish_non_exhaustive()
    }
}
