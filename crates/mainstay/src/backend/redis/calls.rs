//! Listens for the turns of waiters: one subscription a name for everybody in the process.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::hub::{Hub, HubSubscription};
use crate::backend::mailbox::Mailbox;
use crate::backend::unpoisoned::lock;
use crate::backend::{Delivery, Subscription, Turn, Turns};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;

/// A call names a waiter; many may come at a time.
const MAILBOX_BYTES: NonZeroUsize = NonZeroUsize::new(256 << 10).expect("invariant: not zero");

/// The names that somebody here waits for.
#[derive(Debug)]
pub(super) struct Calls {
    hub: Arc<Hub>,
    /// How long the server may take to confirm a subscription.
    patience: Duration,
    turns: Arc<Turns>,
    ears: Mutex<HashMap<StoreKey, Weak<Ear>>>,
}

/// One name's subscription; ends with the last who waits.
#[derive(Debug)]
struct Ear {
    /// `None` until the server has answered.
    heard: watch::Receiver<Option<Result<()>>>,
    task: JoinHandle<()>,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A waiter who will be called.
#[derive(Debug)]
pub(super) struct Called {
    turn: Turn,
    ear: Arc<Ear>,
}

impl Calls {
    pub(super) fn new(hub: Arc<Hub>, patience: Duration) -> Self {
        Self {
            hub,
            patience,
            turns: Arc::default(),
            ears: Mutex::default(),
        }
    }

    /// Waits as `owner`. Calls come once the subscription [is heard](Called::is_heard).
    pub(super) fn wait(&self, key: &StoreKey, channel: StoreKey, owner: &str) -> Called {
        let turn = self.turns.wait(key, owner);
        let mut ears = lock(&self.ears);
        let works = |ear: &Arc<Ear>| !matches!(*ear.heard.borrow(), Some(Err(_)));
        if let Some(ear) = ears.get(key).and_then(Weak::upgrade).filter(works) {
            return Called { turn, ear };
        }
        ears.retain(|_, ear| ear.strong_count() > 0);
        let (answer, heard) = watch::channel(None);
        let (hub, turns) = (Arc::clone(&self.hub), Arc::clone(&self.turns));
        let (patience, name) = (self.patience, key.clone());
        let task = tokio::spawn(async move {
            let deadline = Instant::now() + patience;
            let mailbox = Mailbox::new(MAILBOX_BYTES);
            match hub.subscribe(&[channel], mailbox, deadline).await {
                Ok(subscription) => {
                    answer.send_replace(Some(Ok(())));
                    pass_on(subscription, &turns, &name).await;
                }
                Err(error) => drop(answer.send_replace(Some(Err(error)))),
            }
        });
        let ear = Arc::new(Ear { heard, task });
        ears.insert(key.clone(), Arc::downgrade(&ear));
        Called { turn, ear }
    }

    /// Waits as `owner` if the server has confirmed the subscription already.
    pub(super) fn wait_if_heard(&self, key: &StoreKey, owner: &str) -> Option<Called> {
        let turn = self.turns.wait(key, owner);
        let ear = lock(&self.ears).get(key).and_then(Weak::upgrade)?;
        let is_heard = matches!(*ear.heard.borrow(), Some(Ok(())));
        is_heard.then_some(Called { turn, ear })
    }
}

impl Called {
    /// Completes when the subscription is confirmed: no call is missed from then on, or all who
    /// wait are called.
    pub(super) async fn is_heard(&self, deadline: Instant) -> Result<()> {
        let mut heard = self.ear.heard.clone();
        let late = || Error::new(ErrorKind::Unavailable, "no confirmation in time");
        match timeout_at(deadline, heard.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.clone().unwrap_or_else(|| Err(late())),
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    /// Completes when it may be this waiter's turn. Cancel safe.
    pub(super) async fn called(&self) {
        self.turn.called().await;
    }
}

/// For as long as anybody waits.
async fn pass_on(mut subscription: HubSubscription, turns: &Turns, key: &StoreKey) {
    loop {
        match subscription.next().await {
            Delivery::Message { payload, .. } => match std::str::from_utf8(&payload) {
                Ok(owner) if !owner.is_empty() => turns.call(key, owner),
                _ => turns.call_all(key),
            },
            // What was not heard may have been anybody's call.
            Delivery::Gap(_) => turns.call_all(key),
        }
    }
}
