//! Lists a user's sessions, without their data.
//!
//! One script reads the listing, the user's epoch and the time at one instant. A record that is there
//! after it, and is of that epoch, was there at that instant, since none comes back. One that is of
//! another epoch, or has moved to another id, shows that the user's sessions have changed since: then all
//! is read anew. One that is gone is taken off the listing, by a script that sees for itself.

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

/// How often a listing that changes while it is read is read anew.
const ROUNDS: usize = 16;

/// One reading of a listing.
#[derive(Default)]
struct Page {
    sessions: Vec<ListedSession>,
    /// Hashes of ids whose records are gone.
    gone: Vec<String>,
    has_changed: bool,
}

impl RedisSessions {
    pub(super) async fn listed(&self, keys: &UserKeys, limit: usize) -> Result<Vec<ListedSession>> {
        let mut page = self.read_page(keys, limit).await?;
        for _ in 1..ROUNDS {
            self.forget(keys, &page.gone).await?;
            // What is gone may have kept others out of a full page.
            let is_full = page.sessions.len() + page.gone.len() == limit;
            if !page.has_changed && (page.gone.is_empty() || !is_full) {
                break;
            }
            page = self.read_page(keys, limit).await?;
        }
        Ok(page.sessions)
    }

    async fn forget(&self, keys: &UserKeys, gone: &[String]) -> Result<()> {
        for gone in gone.chunks(BATCH) {
            let records: Vec<_> = gone.iter().map(|id_hash| keys.record(id_hash)).collect();
            let index = std::iter::once(&keys.index);
            let all: Vec<_> = index.chain(&records).map(StoreKey::as_str).collect();
            let hashes: Vec<_> = gone.iter().map(String::as_bytes).collect();
            self.commander
                .eval(&script::SESSION_FORGET, &all, &hashes, Effect::Idempotent)
                .await?;
        }
        Ok(())
    }

    async fn read_page(&self, keys: &UserKeys, limit: usize) -> Result<Page> {
        let limit = limit.to_string();
        let all = [keys.index.as_str(), keys.user.as_str()];
        let limit = [limit.as_bytes()];
        let reply = self
            .commander
            .eval(&script::SESSION_INDEX, &all, &limit, Effect::Idempotent)
            .await?;
        let [now, epoch, hashes] = reply::fields(reply)?;
        let (now, epoch) = (reply::count(&now)?, reply::optional_count(&epoch)?);
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
        let mut page = Page::default();
        for (id_hash, place) in hashes.into_iter().zip(places) {
            match place {
                None => page.gone.push(id_hash),
                Some(Place::Session(held)) if held.is_of(epoch) => {
                    let (last_use, auth) = (held.touched, held.auth);
                    let record = held.told(now, last_use, auth).record;
                    page.sessions.push(ListedSession { id_hash, record });
                }
                Some(Place::Session(_) | Place::Moved(_)) => page.has_changed = true,
            }
        }
        Ok(page)
    }

    async fn read_batch(&self, keys: &UserKeys, hashes: &[String]) -> Result<Vec<Option<Place>>> {
        let records: Vec<_> = hashes.iter().map(|id_hash| keys.record(id_hash)).collect();
        let records: Vec<_> = records.iter().map(StoreKey::as_str).collect();
        let reply = self
            .commander
            .eval(&script::SESSION_LINES, &records, &[], Effect::Read)
            .await?;
        let lines = reply::list(reply)?;
        if lines.len() != hashes.len() {
            return Err(reply::too_short());
        }
        lines.into_iter().map(place).collect()
    }
}

fn place(line: Value) -> Result<Option<Place>> {
    let packed = reply::optional_bytes(line)?;
    packed.as_ref().map(Place::of).transpose()
}
