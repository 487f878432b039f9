//! Who in this process waits for a turn at a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::lock::Wakeups;
use super::unpoisoned::lock;
use crate::key::StoreKey;

/// Wakes one waiter of a name, or all.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<StoreKey, HashMap<String, Arc<Notify>>>>);

impl Turns {
    /// Waits from now on, as `owner`; a call between this and [`Turn::called`] counts.
    pub(crate) fn wait(self: &Arc<Self>, key: &StoreKey, owner: &str) -> Turn {
        let call = Arc::new(Notify::new());
        let mut names = lock(&self.0);
        let waiting = names.entry(key.clone()).or_default();
        waiting.insert(owner.to_owned(), Arc::clone(&call));
        Turn {
            turns: Arc::clone(self),
            key: key.clone(),
            owner: owner.to_owned(),
            call,
        }
    }

    /// It is the turn of `owner`, who may be in another process.
    pub(crate) fn call(&self, key: &StoreKey, owner: &str) {
        if let Some(call) = lock(&self.0)
            .get(key)
            .and_then(|waiting| waiting.get(owner))
        {
            call.notify_one();
        }
    }

    /// It may be anybody's turn: something was not heard.
    pub(crate) fn call_all(&self, key: &StoreKey) {
        for call in lock(&self.0).get(key).into_iter().flat_map(HashMap::values) {
            call.notify_one();
        }
    }
}

/// A waiter; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    key: StoreKey,
    owner: String,
    call: Arc<Notify>,
}

impl Turn {
    /// Completes when it may be this waiter's turn. Cancel safe.
    pub(crate) async fn called(&self) {
        self.call.notified().await;
    }
}

#[async_trait]
impl Wakeups for Turn {
    async fn next(&mut self) {
        self.called().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut names = lock(&self.turns.0);
        if let Some(waiting) = names.get_mut(&self.key) {
            waiting.remove(&self.owner);
            if waiting.is_empty() {
                names.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::key::{Keyspace, Name};

    #[test]
    fn a_call_reaches_its_waiter_and_nothing_is_left_when_all_are_gone() {
        let turns = Arc::new(Turns::default());
        let key = Keyspace::default().lock(&Name::new("report").unwrap());
        let (first, second) = (turns.wait(&key, "a"), turns.wait(&key, "b"));
        turns.call(&key, "b");
        turns.call(&key, "elsewhere");
        assert_eq!(first.called().now_or_never(), None);
        assert_eq!(second.called().now_or_never(), Some(()));
        assert_eq!(second.called().now_or_never(), None);
        drop((first, second));
        assert!(lock(&turns.0).is_empty());
    }
}
