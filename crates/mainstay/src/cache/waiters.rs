//! Who waits for the next change of a key.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;

use crate::backend::unpoisoned::lock;

/// Wakes those who wait for a key.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<HashMap<Box<str>, watch::Sender<()>>>);

impl Waiters {
    /// Listens from now on: a change before [`Listening::changed`] is awaited counts.
    pub(super) fn listen(&self, key: &str) -> Listening<'_> {
        let mut all = lock(&self.0);
        let changes = match all.get(key) {
            Some(sender) => sender.subscribe(),
            None => all.entry(key.into()).or_default().subscribe(),
        };
        Listening {
            waiters: self,
            key: key.into(),
            changes,
        }
    }

    pub(super) fn wake(&self, key: &str) {
        if let Some(sender) = lock(&self.0).get(key) {
            sender.send_replace(());
        }
    }

    pub(super) fn wake_all(&self) {
        for sender in lock(&self.0).values() {
            sender.send_replace(());
        }
    }
}

/// One who waits; gone when dropped.
#[derive(Debug)]
pub(super) struct Listening<'a> {
    waiters: &'a Waiters,
    key: Box<str>,
    changes: watch::Receiver<()>,
}

impl Listening<'_> {
    /// Completes at the first change since this began to listen. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.waiters.0);
        // This one still counts.
        if all
            .get(&self.key)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_between_listening_and_waiting_is_not_missed() {
        let waiters = Waiters::default();
        let mut listening = waiters.listen("k");
        waiters.wake("other");
        assert!(futures_util::poll!(Box::pin(listening.changed())).is_pending());
        waiters.wake("k");
        listening.changed().await;
    }

    #[test]
    fn nobody_is_remembered_who_has_gone() {
        let waiters = Waiters::default();
        let (first, second) = (waiters.listen("k"), waiters.listen("k"));
        drop(first);
        assert_eq!(lock(&waiters.0).len(), 1);
        drop(second);
        assert!(lock(&waiters.0).is_empty());
    }
}
