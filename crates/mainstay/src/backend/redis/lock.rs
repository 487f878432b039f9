//! Locks on Redis: a plain string, or a sorted set of several holders; fences in a hash beside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use redis::Value;
use tokio::time::Instant;

use super::cache::millis;
use super::calls::{Called, Calls};
use super::commander::{Commander, Effect, ScriptCall};
use super::hub::Hub;
use super::scan;
use super::script::{self, Script};
use super::{Limits, reply};
use crate::backend::{
    BreakOrder, Hold, HolderView, LockLease, LockRelease, LockStore, LockTry, LockView, Renewal,
    ScanFrom, ScanPart, Wakeups,
};
use crate::error::Result;
use crate::key::StoreKey;

/// How long what is known of a name is kept, in milliseconds: for 7 days after the longest lease, of
/// 24 hours, and an hour more, since not every acquisition extends it.
const KEPT_MS: &str = "694800000";

/// Locks that one script renews at most: the server does nothing else meanwhile.
const RENEWED_AT_ONCE: usize = 64;

#[derive(Debug)]
pub(super) struct RedisLocks {
    scripts: Scripts,
    commander: Arc<Commander>,
    calls: Calls,
    limits: Limits,
}

/// What the names of one kind are kept by.
#[derive(Debug)]
struct Scripts {
    /// The type of their keys.
    key_type: &'static str,
    acquire: &'static Script,
    renew: &'static Script,
    release: &'static Script,
    inspect: &'static Script,
    break_hold: &'static Script,
}

impl RedisLocks {
    /// Names that one holds: plain strings, as other programs know them.
    pub(super) fn whole(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        let scripts = Scripts {
            key_type: "string",
            acquire: &script::LOCK_ACQUIRE,
            renew: &script::LOCK_RENEW,
            release: &script::LOCK_RELEASE,
            inspect: &script::LOCK_INSPECT,
            break_hold: &script::LOCK_BREAK,
        };
        Self::new(scripts, commander, hub, limits)
    }

    /// Names that several hold: sorted sets.
    pub(super) fn shared(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        let scripts = Scripts {
            key_type: "zset",
            acquire: &script::SHARE_ACQUIRE,
            renew: &script::SHARE_RENEW,
            release: &script::SHARE_RELEASE,
            inspect: &script::SHARE_INSPECT,
            break_hold: &script::SHARE_BREAK,
        };
        Self::new(scripts, commander, hub, limits)
    }

    fn new(scripts: Scripts, commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            scripts,
            commander,
            calls: Calls::new(hub, limits.command),
            limits,
        }
    }

    /// Runs a script over a name and the keys beside it: what is remembered, who waits, until when.
    async fn eval(&self, script: &Script, key: &StoreKey, arguments: &[&str]) -> Result<Value> {
        let [fence, queue, places] = ["f", "q", "p"].map(|suffix| key.companion(suffix));
        let keys = [key.as_str(), &fence, &queue, &places];
        let arguments: Vec<_> = arguments.iter().map(|text| text.as_bytes()).collect();
        let effect = Effect::Idempotent;
        self.commander.eval(script, &keys, &arguments, effect).await
    }

    /// One call for leases that one script may be given.
    async fn renew_together(&self, leases: &[LockLease<'_>]) -> Result<Vec<Result<Renewal>>> {
        // These keys exist: while a slot moves, keys that do not are not found anywhere.
        let hashes: Vec<_> = leases.iter().map(|it| it.key.companion("f")).collect();
        let keys = leases.iter().zip(&hashes);
        let keys: Vec<_> = keys
            .flat_map(|(it, hash)| [it.key.as_str(), hash])
            .collect();
        let ttls: Vec<_> = leases.iter().map(|it| millis(it.ttl)).collect();
        let words = leases.iter().zip(&ttls);
        let words = words.flat_map(|(it, ttl)| [it.owner, ttl, KEPT_MS]);
        let words: Vec<_> = words.map(str::as_bytes).collect();
        let effect = Effect::Idempotent;
        let renewed = self
            .commander
            .eval(self.scripts.renew, &keys, &words, effect);
        let fences = reply::list(renewed.await?)?.into_iter();
        Ok(fences.map(|fence| renewal(&fence)).collect())
    }
}

fn renewal(fence: &Value) -> Result<Renewal> {
    match fence {
        Value::BulkString(none) if none.is_empty() => Ok(Renewal::NotHeld),
        fence => reply::count(fence).map(|fence| Renewal::Renewed { fence }),
    }
}

fn released(count: &Value) -> Result<LockRelease> {
    Ok(match reply::count(count)? {
        0 => LockRelease::NotHeld,
        _ => LockRelease::Released,
    })
}

fn holder(seen: Value) -> Result<HolderView> {
    let [owner, left, holder, fence, held_for] = reply::fields(seen)?;
    Ok(HolderView {
        owner: reply::text(owner)?,
        left: milliseconds(&left),
        holder: reply::text(holder)?,
        fence: reply::count(&fence).ok(),
        held_for: milliseconds(&held_for),
    })
}

fn wakeup_channel(key: &StoreKey) -> StoreKey {
    key.sibling("w")
}

#[async_trait]
impl LockStore for RedisLocks {
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry> {
        let ttl = millis(hold.ttl);
        let place = hold.place.map_or_else(|| "0".to_owned(), millis);
        let channel = wakeup_channel(key);
        let (units, of) = (hold.claim.units.to_string(), hold.claim.of.to_string());
        let arguments = [
            hold.owner,
            &ttl,
            hold.holder,
            KEPT_MS,
            &place,
            channel.as_str(),
            &units,
            &of,
        ];
        let reply = self.eval(self.scripts.acquire, key, &arguments).await?;
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

    async fn renew(&self, leases: &[LockLease<'_>]) -> Vec<Result<Renewal>> {
        let keys: Vec<_> = leases.iter().map(|lease| lease.key).collect();
        let groups = self.commander.by_script(&keys);
        let groups: Vec<_> = groups
            .iter()
            .flat_map(|group| group.chunks(RENEWED_AT_ONCE))
            .collect();
        let calls = groups.iter().map(|group| async move {
            let its: Vec<_> = group
                .iter()
                .filter_map(|it| leases.get(*it))
                .copied()
                .collect();
            self.renew_together(&its).await
        });
        let answered = join_all(calls).await;
        let mut answers = vec![Err(reply::too_short()); leases.len()];
        for (group, answered) in groups.into_iter().zip(answered) {
            let all = answered.unwrap_or_else(|error| vec![Err(error); group.len()]);
            for (index, answer) in group.iter().zip(all) {
                if let Some(slot) = answers.get_mut(*index) {
                    *slot = answer;
                }
            }
        }
        answers
    }

    async fn replicate(&self, lease: &LockLease<'_>, wanted: u32) -> Result<Option<u64>> {
        let ttl = millis(lease.ttl);
        let hash = lease.key.companion("f");
        let call = ScriptCall {
            script: self.scripts.renew,
            keys: &[lease.key.as_str(), &hash],
            arguments: &[lease.owner, &ttl, KEPT_MS].map(str::as_bytes),
        };
        let (renewed, replicas) = self.commander.replicate(&call, wanted).await?;
        let [fence] = reply::fields(renewed)?;
        Ok(match renewal(&fence)? {
            Renewal::NotHeld => None,
            Renewal::Renewed { .. } => Some(reply::count(&replicas)?),
        })
    }

    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease> {
        let channel = wakeup_channel(key);
        let arguments = [owner, channel.as_str(), KEPT_MS];
        released(&self.eval(self.scripts.release, key, &arguments).await?)
    }

    async fn scan(&self, prefix: &StoreKey, from: ScanFrom) -> Result<ScanPart> {
        scan::part(&self.commander, prefix, self.scripts.key_type, from).await
    }

    async fn inspect(&self, key: &StoreKey) -> Result<LockView> {
        let reply = self.eval(self.scripts.inspect, key, &[]).await?;
        let mut parts = reply::list(reply)?.into_iter();
        let [waiting, ago, by, why] = reply::fields(parts.next().unwrap_or_default())?;
        let broken = match milliseconds(&ago) {
            Some(ago) => Some((ago, reply::text(by)?, reply::text(why)?)),
            None => None,
        };
        Ok(LockView {
            holders: parts.map(holder).collect::<Result<_>>()?,
            waiting: reply::count(&waiting)?,
            broken,
        })
    }

    async fn break_hold(&self, key: &StoreKey, order: &BreakOrder<'_>) -> Result<LockRelease> {
        let channel = wakeup_channel(key);
        let arguments = [
            order.owner,
            channel.as_str(),
            KEPT_MS,
            order.by,
            order.reason,
        ];
        released(&self.eval(self.scripts.break_hold, key, &arguments).await?)
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
