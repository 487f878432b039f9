//! Changes of this process: fenced, sent, and owed when they cannot be sent.

use std::sync::Arc;

use super::counters::Count;
use super::section::Section;
use super::tags::EVERY_ENTRY;
use crate::backend::{Owed, is_unsent};
use crate::error::{Error, Result};
use crate::key::StoreKey;

impl<T: Clone + Send + Sync + 'static> Section<T> {
    /// Removes an entry; true if there was one.
    pub(super) async fn remove(&self, text: &str) -> Result<bool> {
        self.counters.add(Count::Invalidated);
        self.send(Owed::Entry(self.key(text))).await
    }

    /// Declares an entry stale; true if there was one.
    pub(super) async fn expire(&self, text: &str) -> Result<bool> {
        if self.tags.is_none() {
            return Err(Error::invalid(
                "a plain layout has no room to say that an entry is stale: remove it",
            ));
        }
        self.counters.add(Count::Invalidated);
        let key = self.key(text);
        let _fence = self.store.watchers().fence(key.as_str());
        let outcome = self.store.expire(&key).await;
        self.owe_unless_sent(Owed::Entry(key.clone()), outcome)
    }

    /// Makes every entry invalid that carries the tag.
    pub(super) async fn invalidate_tag(&self, tag: &str) -> Result<()> {
        let Some(tags) = &self.tags else {
            return Err(Error::invalid(
                "a plain layout has no tags and cannot be cleared: remove entries by their keys",
            ));
        };
        self.counters.add(Count::Invalidated);
        self.send(tags.owed(tag)).await.map(drop)
    }

    async fn send(&self, owed: Owed) -> Result<bool> {
        let _fences = owed.fence(self.store.watchers());
        let outcome = owed.send(&*self.store).await;
        self.owe_unless_sent(owed.clone(), outcome)
    }

    /// Sends what is owed on the key. It is not read from the store before.
    pub(super) async fn settle(&self, key: &StoreKey) -> Result<()> {
        let keys = std::slice::from_ref(key);
        self.debts.settle(&self.store, keys).await
    }

    /// What could not be sent is sent later. To be called while the key is fenced: nobody may read
    /// between the failure and its record.
    pub(super) fn owe_unless_sent<V>(&self, owed: Owed, outcome: Result<V>) -> Result<V> {
        let error = match outcome {
            Err(error) if is_unsent(&error) => error,
            outcome => return outcome,
        };
        let covering = self.tags.as_ref().map(|tags| tags.owed(EVERY_ENTRY));
        let is_kept = self.debts.record(owed, covering);
        if is_kept {
            let store = Arc::downgrade(&self.store);
            self.debts.pay_later(store, Arc::clone(&self.clock));
        }
        let message = if is_kept {
            "invalidation could not be sent: it will be, before the backend is trusted again"
        } else {
            "invalidation could not be sent, and too many wait already: it is not kept"
        };
        Err(Error::with_source(error.kind(), message, error))
    }
}
