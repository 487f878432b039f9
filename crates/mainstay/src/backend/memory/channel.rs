//! Channels in memory.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use crate::backend::mailbox::Mailbox;
use crate::backend::unpoisoned::lock;
use crate::backend::{ChannelStore, Delivery, Subscription};
use crate::error::Result;
use crate::key::StoreKey;

#[derive(Debug, Default)]
pub(super) struct MemoryChannels {
    registry: Arc<Mutex<Registry>>,
}

/// Who listens; a channel that nobody listens to is not in it.
#[derive(Debug, Default)]
struct Registry {
    channels: HashMap<StoreKey, HashMap<u64, Arc<Mailbox>>>,
    next_subscriber: u64,
}

impl MemoryChannels {
    /// Hands a message to who listens; how many do.
    pub(super) fn send(&self, channel: &StoreKey, payload: &Bytes) -> u64 {
        // Pushed under the lock, so that all subscribers hear all publishers in one order.
        let registry = lock(&self.registry);
        let Some(mailboxes) = registry.channels.get(channel) else {
            return 0;
        };
        for mailbox in mailboxes.values() {
            mailbox.push(channel.clone(), payload.clone());
        }
        mailboxes.len() as u64
    }
}

#[async_trait]
impl ChannelStore for MemoryChannels {
    async fn publish(&self, channel: &StoreKey, payload: Bytes) -> Result<u64> {
        Ok(self.send(channel, &payload))
    }

    async fn subscribe(
        &self,
        channels: &[StoreKey],
        max_bytes: NonZeroUsize,
    ) -> Result<Box<dyn Subscription>> {
        let mailbox = Mailbox::new(max_bytes);
        let mut registry = lock(&self.registry);
        let subscriber = registry.next_subscriber;
        registry.next_subscriber += 1;
        for channel in channels {
            let mailboxes = registry.channels.entry(channel.clone()).or_default();
            mailboxes.insert(subscriber, Arc::clone(&mailbox));
        }
        Ok(Box::new(MemorySubscription {
            subscriber,
            channels: channels.to_vec(),
            mailbox,
            registry: Arc::clone(&self.registry),
        }))
    }
}

#[derive(Debug)]
struct MemorySubscription {
    subscriber: u64,
    channels: Vec<StoreKey>,
    mailbox: Arc<Mailbox>,
    registry: Arc<Mutex<Registry>>,
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Delivery {
        self.mailbox.next().await
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        let mut registry = lock(&self.registry);
        for channel in &self.channels {
            if let Some(mailboxes) = registry.channels.get_mut(channel) {
                mailboxes.remove(&self.subscriber);
                if mailboxes.is_empty() {
                    registry.channels.remove(channel);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Keyspace, Name};

    #[tokio::test]
    async fn a_dropped_subscription_leaves_nothing_behind() {
        let channels = MemoryChannels::default();
        let [one, two] =
            ["one", "two"].map(|name| Keyspace::default().channel(&Name::new(name).unwrap()));
        let room = NonZeroUsize::new(1_000).unwrap();
        // Named twice, it still hears each message once.
        let both = [one.clone(), two.clone(), one.clone()];
        let wide = channels.subscribe(&both, room).await.unwrap();
        let narrow = std::slice::from_ref(&two);
        let narrow = channels.subscribe(narrow, room).await.unwrap();
        assert_eq!(channels.publish(&one, Bytes::new()).await.unwrap(), 1);
        assert_eq!(channels.publish(&two, Bytes::new()).await.unwrap(), 2);
        drop(wide);
        assert_eq!(channels.publish(&one, Bytes::new()).await.unwrap(), 0);
        assert_eq!(channels.publish(&two, Bytes::new()).await.unwrap(), 1);
        drop(narrow);
        assert!(lock(&channels.registry).channels.is_empty());
    }
}
