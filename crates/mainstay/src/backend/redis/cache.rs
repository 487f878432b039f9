//! Cache entries on Redis: one string an entry, a lease beside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use redis::{Pipeline, Value};

use super::commander::{Commander, Effect};
use super::error::{Failure, refusal};
use super::script::Script;
use super::tracked::Tracked;
use super::{reply, script};
use crate::backend::{
    Acquired, Attempt, CacheStore, Fill, Lease, LeaseId, LoadFailure, NewEntry, STALE, STALE_AT,
    Sighting, Stored, Watchers,
};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// For how long those who waited for a load are told that it failed.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// The longest message of a failed load that is passed on, in characters.
const LONGEST_MESSAGE: usize = 1_000;

#[derive(Debug)]
pub(super) struct RedisCache {
    commander: Arc<Commander>,
    tracked: Tracked,
    watchers: Arc<Watchers>,
    /// Counter and channel of announcements, where changes are announced.
    announced: Option<String>,
}

impl RedisCache {
    pub(super) fn new(
        commander: Arc<Commander>,
        tracked: Tracked,
        watchers: Arc<Watchers>,
        announced: Option<String>,
    ) -> Self {
        Self {
            commander,
            tracked,
            watchers,
            announced,
        }
    }

    /// Runs a script that changes an entry, its lease, or both.
    async fn change(
        &self,
        script: &Script,
        key: &StoreKey,
        arguments: &[&[u8]],
        effect: Effect,
    ) -> Result<Value> {
        let lease = key.companion("l");
        let mut keys = vec![key.as_str(), &lease];
        keys.extend(self.announced.as_deref());
        self.commander.eval(script, &keys, arguments, effect).await
    }

    /// Reads where the next change is heard of, or else where it is not.
    async fn sight_batch(&self, keys: &[&StoreKey]) -> Result<Vec<Sighting>> {
        let Some(first) = keys.first() else {
            return Ok(Vec::new());
        };
        let mut commands = Pipeline::with_capacity(2 * keys.len());
        for key in keys {
            commands.cmd("PTTL").arg(key.as_str());
            commands.cmd("GET").arg(key.as_str());
        }
        let deadline = self.commander.deadline();
        let tracked = self.tracked.call_all(first.as_str(), &commands, deadline);
        let (replies, mark) = match tracked.await {
            Ok(read) => read,
            Err(Failure::Lost(None)) => return Err(Failure::Lost(None).into_error(true)),
            Err(_not_watched) => return self.look_at(keys).await,
        };
        let mut replies = replies.into_iter();
        let mut sightings = Vec::with_capacity(keys.len());
        for _ in keys {
            let left = replies.next().unwrap_or_default();
            let value = replies.next().unwrap_or_default();
            sightings.push(Sighting {
                stored: stored(value, &left)?,
                mark: Some(mark.clone()),
            });
        }
        Ok(sightings)
    }

    /// Reads without hearing of the next change.
    async fn look_at(&self, keys: &[&StoreKey]) -> Result<Vec<Sighting>> {
        try_join_all(keys.iter().map(|key| async {
            Ok(Sighting {
                stored: self.inspect(key).await?,
                mark: None,
            })
        }))
        .await
    }
}

/// An entry and the reply of `PTTL` about it. One of another type is no entry.
fn stored(value: Value, left: &Value) -> Result<Option<Stored>> {
    let bytes = match value {
        Value::ServerError(error) if error.code() == "WRONGTYPE" => None,
        Value::ServerError(error) => return Err(refusal(error.into())),
        value => reply::optional_bytes(value)?,
    };
    Ok(bytes.map(|bytes| Stored {
        bytes,
        ttl_left: match left {
            // -2: it appeared after PTTL, and says of itself how long it lives.
            Value::Int(left) if *left >= 0 => Some(Duration::from_millis(left.unsigned_abs())),
            _ => None,
        },
    }))
}

pub(super) fn millis(ttl: Ttl) -> String {
    ttl.as_millis().to_string()
}

/// What stands in place of the lease of a load that failed.
fn record(lease: &Lease, failure: &LoadFailure) -> (String, String) {
    let told = failure.told_for.as_millis();
    let kept = failure.told_for.max(FAILURE_KEPT).as_millis();
    let message: String = failure.message.chars().take(LONGEST_MESSAGE).collect();
    let LeaseId(id) = lease.id();
    (format!("!{id}|{kept}|{told}|{message}"), kept.to_string())
}

#[async_trait]
impl CacheStore for RedisCache {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let get = [&b"GET"[..], key.as_str().as_bytes()];
        let reply = self.commander.run(key.as_str(), &get, Effect::Read).await?;
        reply::optional_bytes(reply)
    }

    async fn inspect(&self, key: &StoreKey) -> Result<Option<Stored>> {
        let reply = self
            .commander
            .eval(&script::CACHE_INSPECT, &[key.as_str()], &[], Effect::Read)
            .await?;
        if reply == Value::Nil {
            return Ok(None);
        }
        let [bytes, left] = reply::fields(reply)?;
        stored(bytes, &left)
    }

    async fn sight(&self, key: &StoreKey) -> Result<Sighting> {
        let mut sightings = self.sight_batch(&[key]).await?;
        Ok(sightings.pop().unwrap_or(Sighting {
            stored: None,
            mark: None,
        }))
    }

    async fn sight_many(&self, keys: &[StoreKey]) -> Result<Vec<Sighting>> {
        let batches = self.commander.by_node(keys);
        let reading = batches.iter().map(|batch| async {
            let keys: Vec<_> = batch.iter().filter_map(|index| keys.get(*index)).collect();
            self.sight_batch(&keys).await
        });
        let mut sightings: Vec<Option<Sighting>> = vec![None; keys.len()];
        for (batch, read) in batches.iter().zip(try_join_all(reading).await?) {
            for (index, sighting) in batch.iter().zip(read) {
                if let Some(slot) = sightings.get_mut(*index) {
                    *slot = Some(sighting);
                }
            }
        }
        Ok(sightings.into_iter().flatten().collect())
    }

    async fn put(&self, key: &StoreKey, value: Bytes, ttl: Ttl) -> Result<()> {
        let ttl = millis(ttl);
        let arguments: [&[u8]; 2] = [&value, ttl.as_bytes()];
        // Not again: somebody may have removed what a first attempt has stored.
        let effect = Effect::Once;
        self.change(&script::CACHE_PUT, key, &arguments, effect)
            .await?;
        Ok(())
    }

    async fn acquire(&self, key: &StoreKey, attempt: &Attempt) -> Result<Acquired> {
        let lease = Lease::random();
        let waited_for = attempt.waited_for.as_ref().map_or("", |id| &id.0);
        let lease_key = key.companion("l");
        let keys = [key.as_str(), &lease_key];
        let lease_for = millis(attempt.lease_for);
        let arguments: [&[u8]; 4] = [
            lease.as_str().as_bytes(),
            lease_for.as_bytes(),
            &attempt.seen,
            waited_for.as_bytes(),
        ];
        let script = &script::CACHE_ACQUIRE;
        // Where the next change is heard of: whoever waits is woken by it.
        let deadline = self.commander.deadline();
        let tracked = self.tracked.eval(script, &keys, &arguments, deadline).await;
        let is_heard = tracked.is_ok();
        let reply = match tracked {
            Ok(reply) => reply,
            Err(Failure::Lost(None)) => return Err(Failure::Lost(None).into_error(false)),
            Err(_not_watched) => {
                let effect = Effect::Idempotent;
                self.commander
                    .eval(script, &keys, &arguments, effect)
                    .await?
            }
        };
        let mut fields = reply::list(reply)?.into_iter();
        let mut next = || fields.next().unwrap_or_default();
        let word = reply::text(next())?;
        match word.as_str() {
            "fresh" => {
                let (bytes, left) = (next(), next());
                let found = stored(bytes, &left)?;
                found
                    .map(Acquired::Fresh)
                    .ok_or_else(|| reply::unknown_word("fresh without an entry"))
            }
            "leased" => Ok(Acquired::Leased(lease)),
            "busy" => Ok(Acquired::Busy {
                left: Duration::from_millis(reply::count(&next())?),
                holder: LeaseId(reply::text(next())?),
                is_heard,
            }),
            "failed" => Ok(Acquired::Failed(reply::text(next())?)),
            other => Err(reply::unknown_word(other)),
        }
    }

    async fn renew(&self, key: &StoreKey, lease: &Lease, lease_for: Ttl) -> Result<bool> {
        let lease_for = millis(lease_for);
        let arguments = [lease.as_str().as_bytes(), lease_for.as_bytes()];
        let script = &script::CACHE_RENEW;
        let effect = Effect::Idempotent;
        let reply = self.change(script, key, &arguments, effect).await?;
        Ok(reply::count(&reply)? > 0)
    }

    async fn fill(&self, key: &StoreKey, lease: &Lease, entry: NewEntry<'_>) -> Result<Fill> {
        let ttl = millis(entry.ttl);
        let mut arguments: Vec<&[u8]> =
            vec![lease.as_str().as_bytes(), &entry.bytes, ttl.as_bytes()];
        arguments.extend(entry.over);
        let script = &script::CACHE_FILL;
        let effect = Effect::Idempotent;
        let reply = self.change(script, key, &arguments, effect).await?;
        Ok(match reply::count(&reply)? {
            0 => Fill::Superseded,
            _ => Fill::Stored,
        })
    }

    async fn forfeit(
        &self,
        key: &StoreKey,
        lease: &Lease,
        failure: Option<&LoadFailure>,
    ) -> Result<()> {
        let (record, kept) = failure.map_or_else(Default::default, |why| record(lease, why));
        let arguments: [&[u8]; 3] = [
            lease.as_str().as_bytes(),
            record.as_bytes(),
            kept.as_bytes(),
        ];
        let script = &script::CACHE_FORFEIT;
        self.change(script, key, &arguments, Effect::Idempotent)
            .await?;
        Ok(())
    }

    async fn remove(&self, key: &StoreKey) -> Result<bool> {
        let script = &script::CACHE_REMOVE;
        let reply = self.change(script, key, &[], Effect::Idempotent).await?;
        Ok(reply::count(&reply)? > 0)
    }

    async fn expire(&self, key: &StoreKey) -> Result<bool> {
        let (offset, flag) = (STALE_AT.to_string(), STALE.to_string());
        let arguments = [offset.as_bytes(), flag.as_bytes()];
        let script = &script::CACHE_EXPIRE;
        let effect = Effect::Idempotent;
        let reply = self.change(script, key, &arguments, effect).await?;
        Ok(reply::count(&reply)? > 0)
    }

    async fn touch(&self, key: &StoreKey, seen: &[u8], ttl: Ttl) -> Result<bool> {
        let ttl = millis(ttl);
        let arguments = [seen, ttl.as_bytes()];
        let script = &script::CACHE_TOUCH;
        let effect = Effect::Idempotent;
        let keys = [key.as_str()];
        let touched = self.commander.eval(script, &keys, &arguments, effect);
        let reply = touched.await?;
        Ok(reply::count(&reply)? > 0)
    }

    async fn watermark(&self, counter: &StoreKey) -> Result<u64> {
        let keys = [counter.as_str()];
        let script = &script::CACHE_WATERMARK;
        let effect = Effect::Idempotent;
        reply::count(&self.commander.eval(script, &keys, &[], effect).await?)
    }

    async fn create_tag(
        &self,
        counter: &StoreKey,
        tag: &StoreKey,
        watermark: u64,
        ttl: Ttl,
    ) -> Result<Option<u64>> {
        let (watermark, ttl) = (watermark.to_string(), millis(ttl));
        let keys = [tag.as_str(), counter.as_str()];
        let arguments = [watermark.as_bytes(), ttl.as_bytes()];
        let script = &script::CACHE_TAG_CREATE;
        let effect = Effect::Idempotent;
        let made = self.commander.eval(script, &keys, &arguments, effect);
        match made.await? {
            Value::Nil => Ok(None),
            generation => reply::count(&generation).map(Some),
        }
    }

    async fn invalidate_tag(&self, counter: &StoreKey, tag: &StoreKey) -> Result<()> {
        let mut keys = vec![tag.as_str(), counter.as_str()];
        keys.extend(self.announced.as_deref());
        let script = &script::CACHE_TAG_INVALIDATE;
        let effect = Effect::Idempotent;
        self.commander.eval(script, &keys, &[], effect).await?;
        Ok(())
    }

    async fn count(&self, counters: &StoreKey, added: &[(&'static str, u64)]) -> Result<()> {
        let added: Vec<_> = added
            .iter()
            .flat_map(|(name, more)| [(*name).to_owned(), more.to_string()])
            .collect();
        let arguments: Vec<_> = added.iter().map(String::as_bytes).collect();
        let keys = [counters.as_str()];
        self.commander
            .eval(&script::CACHE_COUNT, &keys, &arguments, Effect::Once)
            .await?;
        Ok(())
    }

    async fn counts(&self, counters: &StoreKey) -> Result<Vec<(String, u64)>> {
        let mut read = redis::cmd("HGETALL");
        read.arg(counters.as_str());
        let key = counters.as_str();
        match self.commander.run(key, &read, Effect::Read).await? {
            Value::Map(pairs) => pairs
                .into_iter()
                .map(|(name, sum)| Ok((reply::text(name)?, reply::count(&sum)?)))
                .collect(),
            Value::Nil => Ok(Vec::new()),
            _ => Err(reply::unknown_word("not a map")),
        }
    }

    fn watchers(&self) -> &Arc<Watchers> {
        &self.watchers
    }
}
