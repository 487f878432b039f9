//! Channels on Redis: `PUBLISH` by the commander, subscriptions by the hub.
//!
//! Classic channels are heard on every node of a Cluster, and by any client's `SUBSCRIBE`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::commander::{Commander, Effect};
use super::hub::Hub;
use super::{Limits, reply};
use crate::backend::mailbox::Mailbox;
use crate::backend::{ChannelStore, Subscription};
use crate::error::Result;
use crate::key::StoreKey;

#[derive(Debug)]
pub(super) struct RedisChannels {
    commander: Arc<Commander>,
    hub: Arc<Hub>,
    limits: Limits,
}

impl RedisChannels {
    pub(super) fn new(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            commander,
            hub,
            limits,
        }
    }
}

#[async_trait]
impl ChannelStore for RedisChannels {
    async fn publish(&self, channel: &StoreKey, payload: Bytes) -> Result<u64> {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel.as_str()).arg(&payload[..]);
        let reply = self
            .commander
            .run(channel.as_str(), &publish, Effect::Once)
            .await?;
        reply::count(&reply)
    }

    async fn subscribe(
        &self,
        channels: &[StoreKey],
        max_bytes: NonZeroUsize,
    ) -> Result<Box<dyn Subscription>> {
        let deadline = Instant::now() + self.limits.command;
        let mailbox = Mailbox::new(max_bytes);
        let subscription = self.hub.subscribe(channels, mailbox, deadline).await?;
        Ok(Box::new(subscription))
    }
}
