//! Changes of this process: fenced, sent, and owed when they cannot be sent.

use std::sync::Arc;
use std::time::Duration;

use super::counters::Count;
use super::journal::Owed;
use super::section::Section;
use super::tags::EVERY_ENTRY;
use crate::error::{Error, ErrorKind, Result};

/// How often an invalidation that is owed is tried.
const RETRY: Duration = Duration::from_millis(500);

impl<T: Clone + Send + Sync + 'static> Section<T> {
    /// Removes an entry; true if there was one.
    pub(super) async fn remove(self: &Arc<Self>, text: &str) -> Result<bool> {
        self.counters.add(Count::Invalidated);
        let outcome = self.send_removal(text).await;
        self.owe_unless_sent(Owed::Key(text.into()), outcome)
    }

    /// Declares an entry stale; true if there was one.
    pub(super) async fn expire(self: &Arc<Self>, text: &str) -> Result<bool> {
        self.counters.add(Count::Invalidated);
        let key = self.key(text);
        let outcome = {
            let _fence = self.store.watchers().fence(key.as_str());
            self.store.expire(&key).await
        };
        self.owe_unless_sent(Owed::Key(text.into()), outcome)
    }

    /// Makes every entry invalid that carries the tag.
    pub(super) async fn invalidate_tag(self: &Arc<Self>, tag: &str) -> Result<()> {
        self.counters.add(Count::Invalidated);
        let outcome = self.send_tag(tag).await;
        self.owe_unless_sent(Owed::Tag(tag.into()), outcome)
    }

    /// Sends what is owed. Nothing is read from the store before.
    pub(super) async fn pay_debts(&self) -> Result<()> {
        if !self.journal.is_open() {
            return Ok(());
        }
        let _turn = self.journal.paying.lock().await;
        while let Some((owed, recorded)) = self.journal.next() {
            match &owed {
                Owed::Key(text) => self.send_removal(text).await.map(drop)?,
                Owed::Tag(tag) => self.send_tag(tag).await?,
            }
            self.journal.settle(&owed, recorded);
        }
        Ok(())
    }

    /// What could not be sent is sent later, by this process for as long as it lives.
    pub(super) fn owe_unless_sent<V>(
        self: &Arc<Self>,
        owed: Owed,
        outcome: Result<V>,
    ) -> Result<V> {
        let error = match outcome {
            Err(error) if is_unsent(&error) => error,
            outcome => return outcome,
        };
        let was_open = self.journal.is_open();
        let is_kept = self.journal.record(owed) || {
            let covers_all = self.tags.is_some();
            if covers_all {
                self.journal.record_instead(Owed::Tag(EVERY_ENTRY.into()));
            }
            covers_all
        };
        if !was_open && is_kept {
            self.start_paying();
        }
        let message = if is_kept {
            "invalidation could not be sent: it will be, before the backend is trusted again"
        } else {
            "invalidation could not be sent, and too many wait already: it is not kept"
        };
        Err(Error::with_source(error.kind(), message, error))
    }

    fn start_paying(self: &Arc<Self>) {
        let section = Arc::downgrade(self);
        let clock = Arc::clone(&self.clock);
        self.start_chore(async move {
            loop {
                clock.sleep_until(clock.now().after(RETRY)).await;
                let Some(section) = section.upgrade() else {
                    return;
                };
                if section.pay_debts().await.is_ok() {
                    return;
                }
            }
        });
    }

    async fn send_removal(&self, text: &str) -> Result<bool> {
        let key = self.key(text);
        let _fence = self.store.watchers().fence(key.as_str());
        self.store.remove(&key).await
    }

    async fn send_tag(&self, tag: &str) -> Result<()> {
        match &self.tags {
            Some(tags) => tags.invalidate(tag).await,
            None => Err(Error::invalid(
                "a plain layout has no tags and cannot be cleared: remove entries by their keys",
            )),
        }
    }
}

fn is_unsent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown)
}
