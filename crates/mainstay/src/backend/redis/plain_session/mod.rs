//! Plain sessions on Redis: a string of JSON a session, a set of ids a user, as the recipe has them.
//!
//! The two are in different slots of a Cluster, so no step touches both; and programs that follow the
//! recipe take part. All that is promised rests on one rule: an id is listed only after its session was
//! written, and its session is never written again. Whoever sees an id in the set and no session knows
//! that it has ended for good.
//!
//! A log-in
//! 1. asks the session's node for its time, from which the end follows,
//! 2. `SET`s the session, to be kept for no longer than a call may take; this is sent once,
//! 3. adds the id to the set, which is kept longer than the session will be,
//! 4. `PEXPIREAT`s the session to its end, and asks by `SISMEMBER` whether it is listed. If either says
//!    no, it was revoked meanwhile: what is left of it is removed, and the log-in starts over with
//!    another id.
//!
//! `revoke_all` reads ids from the set, `DEL`s their sessions, removes those ids from the set, and so
//! on until it has read the whole set. It never deletes the set.
//!
//! # Why nothing stays valid that is not listed
//! - An id that `revoke_all` reads: its session was written before (2 comes before 3), so `DEL` ends it.
//!   If that is before 4, the log-in finds nothing to keep and takes another id; if it is after 4, the
//!   log-in came first.
//! - An id that it does not read was listed later: it stays, and is listed. The log-in came after it.
//! - Only ids whose session is gone leave the set, here and in `list`, and none of them comes back.
//!   With `SADD` before `SET`, an id whose session is yet to come would be taken for one: `SMEMBERS`,
//!   `DEL` of nothing, `SET`, `SISMEMBER` that says yes, `SREM`.
//! - Who breaks off after 2 leaves a session that is gone within the time of a call, and whose id nobody
//!   was told; after 3, one that is listed besides; between `DEL` and `SREM`, an id that `list` drops. A
//!   failover of one node that loses its latest writes leaves one of these as well. On a Cluster it may
//!   lose the set's writes and not the session's, or the server may evict the set: then a session is
//!   valid and not listed.
//! - A second copy of 3, sent as the reply to the first was lost, may list an id that has ended; of 4,
//!   it finds nothing to keep.
//!
//! # Beside programs that follow the recipe
//! - Their log-in is `SET`, `SADD`, `EXPIRE` on one connection: in our order, so the same holds for it.
//!   On a Cluster their clients send each node its part at once, and the order is lost: their `SET` may
//!   come after our `DEL`, and stays unlisted. That is theirs to mend.
//! - Their `EXPIRE` sets the time of the set whatever it was, and so must not be shorter than ours.
//! - Their revocation is `SMEMBERS`, then one `DEL` of the sessions and the set. An id that we have
//!   listed before `SMEMBERS` is among them; one that we list after the `DEL` makes a new set. One that
//!   we list in between goes with the set: before 4 we see that, and take another. After 4, the session
//!   stays valid and unlisted, as one of their own does. Nothing that a log-in does can prevent that:
//!   only their using our way to revoke does.

mod log_in;
mod read;
mod record;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use redis::Cmd;
use tokio::time::timeout;

use super::commander::{Commander, Effect};
use super::error::Failure;
use super::{Limits, reply};
use crate::backend::{NewPlainSession, PlainLayout, PlainSession, PlainSessionStore};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;
use read::Found;

/// Ids that a log-in tries: each but the last was revoked while it was under way.
const IDS_TRIED: usize = 16;

/// Ids that a revocation reads at a time.
const PAGE: usize = 500;

/// Commands on their way at a time.
const SENT_AT_ONCE: usize = 32;

#[derive(Debug)]
pub(super) struct RedisPlainSessions {
    commander: Arc<Commander>,
    limits: Limits,
}

impl RedisPlainSessions {
    pub(super) fn new(commander: Arc<Commander>, limits: Limits) -> Self {
        Self { commander, limits }
    }

    /// Ends work that may have had an effect when the time of a call is over.
    async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = timeout(self.limits.command, work).await;
        done.unwrap_or_else(|_elapsed| Err(Failure::Lost(None).into_error(false)))
    }

    /// The clock of the node of `key`, in whole milliseconds since 1970.
    async fn now(&self, key: &StoreKey) -> Result<Duration> {
        let time: [&[u8]; 1] = [b"TIME"];
        let time = self.commander.run(key.as_str(), &time, Effect::Read);
        let [seconds, micros] = reply::fields(time.await?)?;
        let millis = Duration::from_millis(reply::count(&micros)? / 1_000);
        Ok(Duration::from_secs(reply::count(&seconds)?) + millis)
    }

    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let get: [&[u8]; 2] = [b"GET", key.as_str().as_bytes()];
        let record = self.commander.run(key.as_str(), &get, Effect::Read);
        reply::optional_bytes(record.await?)
    }

    /// Up to so many ids of a listing; fewer are all that there were at one instant.
    async fn page(&self, listing: &StoreKey, limit: usize) -> Result<Vec<String>> {
        let limit = limit.to_string();
        let (at, limit) = (listing.as_str(), limit.as_bytes());
        let read: [&[u8]; 3] = [b"SRANDMEMBER", at.as_bytes(), limit];
        let ids = self.commander.run(at, &read, Effect::Read).await?;
        reply::list(ids)?.into_iter().map(reply::text).collect()
    }

    /// Deletes sessions; how many there were.
    async fn delete(&self, keys: &[StoreKey]) -> Result<u64> {
        let keys: Vec<_> = keys.iter().collect();
        let groups = self.commander.by_script(&keys).into_iter();
        let groups = groups.map(|group| {
            let group = group.into_iter().filter_map(|index| keys.get(index));
            group.map(|key| key.as_str()).collect::<Vec<_>>()
        });
        let deletions = groups.filter_map(|keys| {
            let at = *keys.first()?;
            let mut delete = redis::cmd("DEL");
            delete.arg(&keys);
            Some(async move { self.count(at, &delete).await })
        });
        let deletions: Vec<_> = deletions.collect();
        let mut deletions = stream::iter(deletions).buffer_unordered(SENT_AT_ONCE);
        let mut deleted = 0;
        while let Some(count) = deletions.next().await {
            deleted += count?;
        }
        Ok(deleted)
    }

    /// Removes the ids of sessions that have ended from a listing.
    async fn forget(&self, listing: &StoreKey, ids: &[String]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut remove = redis::cmd("SREM");
        remove.arg(listing.as_str()).arg(ids);
        self.count(listing.as_str(), &remove).await.map(drop)
    }

    async fn count(&self, key: &str, command: &Cmd) -> Result<u64> {
        let count = self.commander.run(key, command, Effect::Idempotent);
        reply::count(&count.await?)
    }
}

#[async_trait]
impl PlainSessionStore for RedisPlainSessions {
    async fn create(
        &self,
        layout: &PlainLayout,
        session: &NewPlainSession<'_>,
    ) -> Result<PlainSession> {
        let create = async {
            for _ in 0..IDS_TRIED {
                if let Some(issued) = self.try_create(layout, session).await? {
                    return Ok(issued);
                }
            }
            Err(Error::new(
                ErrorKind::Unavailable,
                "all sessions of the user are revoked again and again",
            ))
        };
        self.within(create).await
    }

    async fn load(&self, layout: &PlainLayout, id: &str) -> Result<Option<PlainSession>> {
        let found = self.commander.within(self.read(layout, id)).await?;
        Ok(match found {
            Found::Valid(session) => Some(session),
            Found::Nothing | Found::Ended => None,
        })
    }

    async fn revoke(&self, layout: &PlainLayout, id: &str) -> Result<bool> {
        let revoke = async {
            let key = layout.session(id);
            let Some(record) = self.get(&key).await? else {
                return Ok(false);
            };
            let deleted = self.delete(&[key]).await?;
            // Whose it was, a record that is none does not say: its id stays until it is listed.
            if let Ok(session) = record::read(id, &record) {
                let listing = layout.listing(&session.user_id);
                self.forget(&listing, &[session.id]).await?;
            }
            Ok(deleted > 0)
        };
        self.within(revoke).await
    }

    async fn revoke_all(&self, layout: &PlainLayout, user_id: &str) -> Result<u64> {
        let listing = layout.listing(user_id);
        let revoke = async {
            let mut ended = 0;
            loop {
                let ids = self.page(&listing, PAGE).await?;
                let keys: Vec<_> = ids.iter().map(|id| layout.session(id)).collect();
                ended += self.delete(&keys).await?;
                self.forget(&listing, &ids).await?;
                if ids.len() < PAGE {
                    return Ok(ended);
                }
            }
        };
        self.within(revoke).await
    }

    async fn list(
        &self,
        layout: &PlainLayout,
        user_id: &str,
        limit: usize,
    ) -> Result<Vec<PlainSession>> {
        let listing = layout.listing(user_id);
        let list = async {
            loop {
                if let Some(sessions) = self.try_list(layout, &listing, limit).await? {
                    return Ok(sessions);
                }
            }
        };
        self.commander.within(list).await
    }
}
