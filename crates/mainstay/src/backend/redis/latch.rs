//! Latches on Redis: a set of who has arrived.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::cache::millis;
use super::calls::Calls;
use super::commander::{Commander, Effect};
use super::hub::Hub;
use super::{Limits, reply, script};
use crate::backend::{Arrival, LatchStore, Wakeups};
use crate::error::Result;
use crate::key::StoreKey;

#[derive(Debug)]
pub(super) struct RedisLatches {
    commander: Arc<Commander>,
    calls: Calls,
    limits: Limits,
}

impl RedisLatches {
    pub(super) fn new(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            commander,
            calls: Calls::new(hub, limits.command),
            limits,
        }
    }
}

fn channel(key: &StoreKey) -> StoreKey {
    key.sibling("w")
}

#[async_trait]
impl LatchStore for RedisLatches {
    async fn arrive(&self, key: &StoreKey, arrival: &Arrival<'_>) -> Result<u64> {
        let (of, keep) = (arrival.of.to_string(), millis(arrival.keep));
        let channel = channel(key);
        let arguments = [arrival.who, &of, &keep, channel.as_str()].map(str::as_bytes);
        let (script, effect) = (&script::LATCH_ARRIVE, Effect::Idempotent);
        let keys = [key.as_str()];
        let arrived = self.commander.eval(script, &keys, &arguments, effect);
        reply::count(&arrived.await?)
    }

    async fn arrived(&self, key: &StoreKey) -> Result<u64> {
        let command: [&[u8]; 2] = [b"SCARD", key.as_str().as_bytes()];
        let count = self.commander.run(key.as_str(), &command, Effect::Read);
        reply::count(&count.await?)
    }

    async fn reset(&self, key: &StoreKey) -> Result<()> {
        let command: [&[u8]; 2] = [b"DEL", key.as_str().as_bytes()];
        let effect = Effect::Idempotent;
        self.commander
            .run(key.as_str(), &command, effect)
            .await
            .map(drop)
    }

    async fn wakeups(&self, key: &StoreKey) -> Result<Box<dyn Wakeups>> {
        let deadline = Instant::now() + self.limits.command;
        let called = self.calls.wait(key, channel(key), &crate::random::token());
        called.is_heard(deadline).await?;
        Ok(Box::new(called))
    }
}
