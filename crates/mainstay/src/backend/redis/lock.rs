//! Locks on Redis: a plain string a lock, its fence in a hash beside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::time::Instant;

use super::cache::millis;
use super::calls::{Called, Calls};
use super::commander::{Commander, Effect};
use super::hub::Hub;
use super::script::{self, Script};
use super::{Limits, reply};
use crate::backend::{
    BreakOrder, Hold, LockRelease, LockStore, LockTry, LockView, Renewal, Wakeups,
};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// How long the last fence of a name is remembered after its last use.
const KEEP_FENCE: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug)]
pub(super) struct RedisLocks {
    commander: Arc<Commander>,
    calls: Calls,
    limits: Limits,
}

impl RedisLocks {
    pub(super) fn new(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            commander,
            calls: Calls::new(hub, limits.command),
            limits,
        }
    }

    /// Runs a script over a lock and the keys beside it: its fence, who waits, until when.
    async fn eval(&self, script: &Script, key: &StoreKey, arguments: &[&str]) -> Result<Value> {
        let [fence, queue, places] = ["f", "q", "p"].map(|suffix| key.companion(suffix));
        let keys = [key.as_str(), &fence, &queue, &places];
        let arguments: Vec<_> = arguments.iter().map(|text| text.as_bytes()).collect();
        let effect = Effect::Idempotent;
        self.commander.eval(script, &keys, &arguments, effect).await
    }
}

fn released(count: &Value) -> Result<LockRelease> {
    Ok(match reply::count(count)? {
        0 => LockRelease::NotHeld,
        _ => LockRelease::Released,
    })
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
        let (ttl, kept) = (millis(hold.ttl), keep(hold.ttl.as_duration()));
        let place = hold.place.map_or_else(|| "0".to_owned(), millis);
        let channel = wakeup_channel(key);
        let arguments = [
            hold.owner,
            &ttl,
            hold.holder,
            &kept,
            &place,
            channel.as_str(),
        ];
        let reply = self.eval(&script::LOCK_ACQUIRE, key, &arguments).await?;
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
                holder: Some(reply::text(next())?),
                before: before(&next()),
            }),
            "free" => {
                let left = reply::count(&next())?;
                let _nobody = next();
                Ok(LockTry::Held {
                    left: Some(Duration::from_millis(left)),
                    holder: None,
                    before: before(&next()),
                })
            }
            other => Err(reply::unknown_word(other)),
        }
    }

    async fn renew(&self, key: &StoreKey, owner: &str, ttl: Ttl) -> Result<Renewal> {
        let (kept, ttl) = (keep(ttl.as_duration()), millis(ttl));
        let arguments = [owner, &ttl, &kept].map(str::as_bytes);
        // These two exist: while a slot moves, keys that do not are not found anywhere.
        let keys = [key.as_str(), &key.companion("f")];
        let script = &script::LOCK_RENEW;
        let renewed = self
            .commander
            .eval(script, &keys, &arguments, Effect::Idempotent);
        let reply = renewed.await?;
        Ok(match reply {
            Value::Nil => Renewal::NotHeld,
            fence => Renewal::Renewed {
                fence: reply::count(&fence)?,
            },
        })
    }

    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease> {
        let (channel, kept) = (wakeup_channel(key), keep(Duration::ZERO));
        let arguments = [owner, channel.as_str(), &kept];
        released(&self.eval(&script::LOCK_RELEASE, key, &arguments).await?)
    }

    async fn inspect(&self, key: &StoreKey) -> Result<LockView> {
        let reply = self.eval(&script::LOCK_INSPECT, key, &[]).await?;
        let [owner, left, holder, fence, held_for, waiting, ago, by, why] = reply::fields(reply)?;
        let owner = match owner {
            Value::Nil => None,
            owner => Some(reply::text(owner)?),
        };
        let broken = match milliseconds(&ago) {
            Some(ago) => Some((ago, reply::text(by)?, reply::text(why)?)),
            None => None,
        };
        Ok(LockView {
            left: milliseconds(&left).filter(|_| owner.is_some()),
            owner,
            holder: reply::text(holder)?,
            fence: reply::count(&fence).ok(),
            held_for: milliseconds(&held_for),
            waiting: reply::count(&waiting)?,
            broken,
        })
    }

    async fn break_hold(&self, key: &StoreKey, order: &BreakOrder<'_>) -> Result<LockRelease> {
        let (channel, kept) = (wakeup_channel(key), keep(Duration::ZERO));
        let arguments = [order.owner, channel.as_str(), &kept, order.by, order.reason];
        released(&self.eval(&script::LOCK_BREAK, key, &arguments).await?)
    }

    async fn wakeups(&self, key: &StoreKey, owner: &str) -> Result<Box<dyn Wakeups>> {
        let deadline = Instant::now() + self.limits.command;
        let called = self.calls.wait(key, wakeup_channel(key), owner);
        called.is_heard(deadline).await?;
        Ok(Box::new(called))
    }

    fn wakeups_at_hand(&self, key: &StoreKey, owner: &str) -> Option<Box<dyn Wakeups>> {
        let called = self.calls.wait_if_heard(key, owner)?;
        Some(Box::new(called))
    }
}

/// Milliseconds, where they are known.
fn milliseconds(count: &Value) -> Option<Duration> {
    reply::count(count).ok().map(Duration::from_millis)
}

/// How many come before; less than none without a place.
fn before(count: &Value) -> Option<u64> {
    reply::count(count).ok()
}

#[async_trait]
impl Wakeups for Called {
    async fn next(&mut self) {
        self.called().await;
    }
}
