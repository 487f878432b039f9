//! Locks on Redis: a plain string a lock, its fence in a hash beside it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::time::Instant;

use super::cache::millis;
use super::commander::{Commander, Effect};
use super::hub::{Hub, HubSubscription};
use super::{Limits, reply, script};
use crate::backend::mailbox::Mailbox;
use crate::backend::{Hold, LockRelease, LockStore, LockTry, Renewal, Subscription, Wakeups};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// How long the last fence of a name is remembered after its last use.
const KEEP_FENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Wake-ups carry nothing: a few are as good as many.
const WAKEUP_BYTES: NonZeroUsize = NonZeroUsize::new(4096).expect("invariant: not zero");

#[derive(Debug)]
pub(super) struct RedisLocks {
    commander: Arc<Commander>,
    hub: Arc<Hub>,
    limits: Limits,
}

impl RedisLocks {
    pub(super) fn new(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            commander,
            hub,
            limits,
        }
    }
}

fn fence_key(key: &StoreKey) -> String {
    key.companion("f")
}

fn wakeup_channel(key: &StoreKey) -> StoreKey {
    key.sibling("w")
}

/// The hash outlives the lock, whatever its TTL.
fn keep(ttl: Duration) -> String {
    (KEEP_FENCE + ttl).as_millis().to_string()
}

#[async_trait]
impl LockStore for RedisLocks {
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry> {
        let reply = self
            .commander
            .eval(
                &script::LOCK_ACQUIRE,
                &[key.as_str(), &fence_key(key)],
                &[
                    hold.owner.as_bytes(),
                    millis(hold.ttl).as_bytes(),
                    hold.holder.as_bytes(),
                    keep(hold.ttl.as_duration()).as_bytes(),
                ],
                Effect::Idempotent,
            )
            .await?;
        let mut fields = reply::list(reply)?.into_iter();
        let mut next = || fields.next().unwrap_or_default();
        match reply::text(next())?.as_str() {
            "acquired" => Ok(LockTry::Acquired {
                fence: reply::count(&next())?,
            }),
            "held" => Ok(LockTry::Held {
                left: match next() {
                    Value::Int(-1) => None,
                    Value::Int(-2) => Some(Duration::ZERO),
                    left => Some(Duration::from_millis(reply::count(&left)?)),
                },
                holder: reply::text(next())?,
            }),
            other => Err(reply::unknown_word(other)),
        }
    }

    async fn renew(&self, key: &StoreKey, owner: &str, ttl: Ttl) -> Result<Renewal> {
        let reply = self
            .commander
            .eval(
                &script::LOCK_RENEW,
                &[key.as_str(), &fence_key(key)],
                &[
                    owner.as_bytes(),
                    millis(ttl).as_bytes(),
                    keep(ttl.as_duration()).as_bytes(),
                ],
                Effect::Idempotent,
            )
            .await?;
        Ok(match reply {
            Value::Nil => Renewal::NotHeld,
            fence => Renewal::Renewed {
                fence: reply::count(&fence)?,
            },
        })
    }

    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease> {
        let reply = self
            .commander
            .eval(
                &script::LOCK_RELEASE,
                &[key.as_str(), &fence_key(key)],
                &[
                    owner.as_bytes(),
                    wakeup_channel(key).as_str().as_bytes(),
                    keep(Duration::ZERO).as_bytes(),
                ],
                Effect::Idempotent,
            )
            .await?;
        Ok(match reply::count(&reply)? {
            0 => LockRelease::NotHeld,
            _ => LockRelease::Released,
        })
    }

    async fn wakeups(&self, key: &StoreKey) -> Result<Box<dyn Wakeups>> {
        let deadline = Instant::now() + self.limits.command;
        let mailbox = Mailbox::new(WAKEUP_BYTES);
        let channels = [wakeup_channel(key)];
        let subscription = self.hub.subscribe(&channels, mailbox, deadline).await?;
        Ok(Box::new(RedisWakeups(subscription)))
    }
}

#[derive(Debug)]
struct RedisWakeups(HubSubscription);

#[async_trait]
impl Wakeups for RedisWakeups {
    /// A gap wakes too: the release may have been in it.
    async fn next(&mut self) {
        self.0.next().await;
    }
}
