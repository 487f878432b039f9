//! What a history keeps and how much a subscriber may hold.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::Retention;
use super::handle::{History, Shared};
use crate::backend::HistoryStore;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::key::{Keyspace, Name};

/// Defines a [`History`]; made by [`ChannelBuilder::history`](crate::pubsub::ChannelBuilder::history).
#[must_use]
pub struct HistoryBuilder<T> {
    pub(in crate::pubsub) store: Arc<dyn HistoryStore>,
    pub(in crate::pubsub) keyspace: Keyspace,
    pub(in crate::pubsub) clock: Arc<dyn Clock>,
    pub(in crate::pubsub) name: String,
    pub(in crate::pubsub) source: String,
    pub(in crate::pubsub) buffer: Result<NonZeroUsize>,
    pub(in crate::pubsub) retention: Retention,
    pub(in crate::pubsub) data: PhantomData<fn() -> T>,
}

impl<T> HistoryBuilder<T> {
    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`], the source is empty, the
    /// buffer has no byte, or the retention keeps nothing or more than it may.
    pub fn build(self) -> Result<History<T>> {
        let name = Name::new(&self.name)?;
        if self.source.is_empty() {
            return Err(Error::invalid("source of a channel is empty"));
        }
        Ok(History::new(Shared {
            log: self.keyspace.history(&name),
            name,
            store: self.store,
            clock: self.clock,
            source: self.source,
            buffer_bytes: self.buffer?,
            keep: self.retention.check()?,
        }))
    }
}

impl<T> fmt::Debug for HistoryBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryBuilder")
            .field("name", &self.name)
            .field("source", &self.source)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
