//! Lists a user's sessions, without their data.
//!
//! One script reads the listing, the user's epoch and the time at one instant. A record that is there
//! after it was there at that instant, since none comes back, so what it says of itself held then.

use futures_util::{StreamExt, stream};
use redis::Value;

use super::RedisSessions;
use super::record::Place;
use crate::backend::redis::commander::Effect;
use crate::backend::redis::{reply, script};
use crate::backend::{ListedSession, UserKeys};
use crate::error::Result;
use crate::key::StoreKey;

/// Records that one script reads: the server does nothing else for some 100 microseconds.
const BATCH: usize = 64;

/// Scripts that are on their way at a time.
const BATCHES_AT_ONCE: usize = 4;

/// What a listing tells of a session.
const FIELDS: [&str; 10] = [
    "to", "user", "epoch", "created", "auth", "touched", "idle", "deadline", "agent", "network",
];

impl RedisSessions {
    pub(super) async fn listed(&self, keys: &UserKeys, limit: usize) -> Result<Vec<ListedSession>> {
        loop {
            let (sessions, gone) = self.read_listing(keys, limit).await?;
            if gone.is_empty() {
                return Ok(sessions);
            }
            // An id never comes back, so what is gone now may leave the listing at any time.
            let mut forget = redis::cmd("ZREM");
            forget.arg(keys.index.as_str()).arg(&gone);
            let index = keys.index.as_str();
            self.commander
                .run(index, &forget, Effect::Idempotent)
                .await?;
            // What it kept out of the page is read in the next round.
            if sessions.len() + gone.len() < limit {
                return Ok(sessions);
            }
        }
    }

    /// The first `limit` entries of a listing: those that are valid, and the hashes of the others.
    async fn read_listing(
        &self,
        keys: &UserKeys,
        limit: usize,
    ) -> Result<(Vec<ListedSession>, Vec<String>)> {
        let limit = limit.to_string();
        let all = [keys.index.as_str(), keys.user.as_str()];
        let reply = self
            .commander
            .eval(
                &script::SESSION_INDEX,
                &all,
                &[limit.as_bytes()],
                Effect::Idempotent,
            )
            .await?;
        let [now, epoch, hashes] = reply::fields(reply)?;
        let (now, epoch) = (reply::count(&now)?, reply::optional_bytes(epoch)?);
        let hashes = reply::list(hashes)?.into_iter().map(reply::text);
        let hashes: Vec<String> = hashes.collect::<Result<_>>()?;
        let batches = hashes
            .chunks(BATCH)
            .map(|batch| self.read_batch(keys, batch));
        let batches: Vec<_> = batches.collect();
        let mut batches = stream::iter(batches).buffered(BATCHES_AT_ONCE);
        let mut places = Vec::with_capacity(hashes.len());
        while let Some(batch) = batches.next().await {
            places.extend(batch?);
        }
        drop(batches);
        let (mut sessions, mut gone) = (Vec::new(), Vec::new());
        for (id_hash, place) in hashes.into_iter().zip(places) {
            match place {
                Some(Place::Session(held)) if held.is_of(epoch.as_deref()) => {
                    let record = held.describe(now, held.touched, held.auth);
                    sessions.push(ListedSession { id_hash, record });
                }
                // What was rotated away meanwhile is listed under its new id.
                Some(Place::Session(_) | Place::Moved(_)) | None => gone.push(id_hash),
            }
        }
        Ok((sessions, gone))
    }

    async fn read_batch(&self, keys: &UserKeys, hashes: &[String]) -> Result<Vec<Option<Place>>> {
        let records: Vec<_> = hashes.iter().map(|id_hash| keys.record(id_hash)).collect();
        let records: Vec<_> = records.iter().map(StoreKey::as_str).collect();
        let fields = FIELDS.map(str::as_bytes);
        let reply = self
            .commander
            .eval(&script::SESSION_LINES, &records, &fields, Effect::Read)
            .await?;
        let lines = reply::list(reply)?;
        if lines.len() != hashes.len() {
            return Err(reply::too_short());
        }
        lines.into_iter().map(place).collect()
    }
}

fn place(line: Value) -> Result<Option<Place>> {
    let names = FIELDS.map(|name| Value::BulkString(name.into()));
    let pairs = names.into_iter().zip(reply::list(line)?);
    let there = pairs.filter(|(_, value)| *value != Value::Nil);
    Place::of(Value::Map(there.collect()))
}
