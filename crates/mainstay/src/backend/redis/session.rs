//! Sessions on Redis: a hash a session, an epoch and a listing a user, all in one slot.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use redis::Value;

use super::cache::millis;
use super::commander::{Commander, Effect};
use super::{reply, script};
use crate::backend::{
    ListedSession, NewSession, SessionKeys, SessionRecord, SessionStore, StoredSession,
};
use crate::error::Result;
use crate::key::StoreKey;

/// Records that a listing reads at a time.
const READ_AT_ONCE: usize = 32;

#[derive(Debug)]
pub(super) struct RedisSessions {
    commander: Arc<Commander>,
}

impl RedisSessions {
    pub(super) fn new(commander: Arc<Commander>) -> Self {
        Self { commander }
    }

    async fn read(
        &self,
        record: &StoreKey,
        user: &StoreKey,
        activity: Activity,
    ) -> Result<Option<StoredSession>> {
        let (flag, effect): (&[u8], _) = match activity {
            Activity::Counts => (b"1", Effect::Idempotent),
            Activity::LooksOnly => (b"0", Effect::Read),
        };
        let keys = [record.as_str(), user.as_str()];
        let reply = self
            .commander
            .eval(&script::SESSION_LOAD, &keys, &[flag], effect)
            .await?;
        if reply == Value::Nil {
            return Ok(None);
        }
        let [user, age, idle_for, expires_in, absolute_in, data] = reply::fields(reply)?;
        let duration = |value| reply::count(&value).map(Duration::from_millis);
        Ok(Some(StoredSession {
            record: SessionRecord {
                user: reply::text(user)?,
                age: duration(age)?,
                idle_for: duration(idle_for)?,
                expires_in: duration(expires_in)?,
                absolute_in: duration(absolute_in)?,
            },
            data: reply::bytes(data)?,
        }))
    }

    /// The first `limit` entries of a listing: those that are valid, and the hashes of the others.
    async fn read_listing(
        &self,
        user: &StoreKey,
        index: &StoreKey,
        record_of: &(dyn for<'a> Fn(&'a str) -> StoreKey + Send + Sync),
        limit: usize,
    ) -> Result<(Vec<ListedSession>, Vec<String>)> {
        let limit = limit.to_string();
        let reply = self
            .commander
            .eval(
                &script::SESSION_INDEX,
                &[index.as_str()],
                &[limit.as_bytes()],
                Effect::Idempotent,
            )
            .await?;
        let hashes: Vec<String> = reply::list(reply)?
            .into_iter()
            .map(reply::text)
            .collect::<Result<_>>()?;
        let reads: Vec<_> = hashes
            .into_iter()
            .map(|id_hash| {
                let record = record_of(&id_hash);
                async move {
                    let found = self.read(&record, user, Activity::LooksOnly).await?;
                    Ok((id_hash, found))
                }
            })
            .collect();
        let mut reads = stream::iter(reads).buffered(READ_AT_ONCE);
        let (mut sessions, mut gone) = (Vec::new(), Vec::new());
        while let Some(read) = reads.next().await {
            match read? {
                (id_hash, Some(stored)) => sessions.push(ListedSession {
                    id_hash,
                    record: stored.record,
                }),
                (id_hash, None) => gone.push(id_hash),
            }
        }
        Ok((sessions, gone))
    }
}

#[derive(Clone, Copy)]
enum Activity {
    Counts,
    LooksOnly,
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn create(&self, keys: &SessionKeys, session: &NewSession<'_>) -> Result<()> {
        self.commander
            .eval(
                &script::SESSION_CREATE,
                &[
                    keys.record.as_str(),
                    keys.user.as_str(),
                    keys.index.as_str(),
                ],
                &[
                    session.user.as_bytes(),
                    &session.data,
                    millis(session.idle).as_bytes(),
                    millis(session.absolute).as_bytes(),
                    keys.id_hash.as_bytes(),
                ],
                Effect::Idempotent,
            )
            .await?;
        Ok(())
    }

    async fn load(&self, keys: &SessionKeys) -> Result<Option<StoredSession>> {
        self.read(&keys.record, &keys.user, Activity::Counts).await
    }

    async fn revoke(&self, keys: &SessionKeys) -> Result<bool> {
        let reply = self
            .commander
            .eval(
                &script::SESSION_REVOKE,
                &[
                    keys.record.as_str(),
                    keys.user.as_str(),
                    keys.index.as_str(),
                ],
                &[keys.id_hash.as_bytes()],
                Effect::Idempotent,
            )
            .await?;
        Ok(reply::count(&reply)? > 0)
    }

    async fn revoke_all(&self, user: &StoreKey, index: &StoreKey) -> Result<u64> {
        let keys = [user.as_str(), index.as_str()];
        let reply = self
            .commander
            .eval(&script::SESSION_REVOKE_ALL, &keys, &[], Effect::Idempotent)
            .await?;
        reply::count(&reply)
    }

    async fn list(
        &self,
        user: &StoreKey,
        index: &StoreKey,
        record_of: &(dyn for<'a> Fn(&'a str) -> StoreKey + Send + Sync),
        limit: usize,
    ) -> Result<Vec<ListedSession>> {
        let read = async {
            loop {
                let (sessions, gone) = self.read_listing(user, index, record_of, limit).await?;
                if gone.is_empty() {
                    return Ok(sessions);
                }
                // An id never comes back, so what is gone now may leave the listing at any time.
                // What it kept out of the page is read in the next round.
                let mut forget = redis::cmd("ZREM");
                forget.arg(index.as_str()).arg(&gone);
                self.commander
                    .run(index.as_str(), &forget, Effect::Idempotent)
                    .await?;
            }
        };
        self.commander.within(read).await
    }
}
