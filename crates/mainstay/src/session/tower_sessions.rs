//! A store for [tower-sessions](https://docs.rs/tower-sessions), for services that are built on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tower_sessions_core::SessionStore as TowerStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error as TowerError, Result as TowerResult};

use super::fields::{self, Layout, PerKey};
use crate::backend::{
    Device, Fields, NewSession, OnConflict, Save, Saved, SessionKeys, SessionStore,
};
use crate::clock::Clock;
use crate::error::Error;
use crate::key::Keyspace;
use crate::ttl::Ttl;

/// Ids that are tried for a new session, though each is random.
const IDS_TRIED: usize = 4;

/// Keeps the sessions of tower-sessions; made by
/// [`Mainstay::tower_session_store`](crate::Mainstay::tower_session_store).
///
/// An application changes its store and nothing else. It gains: ids that are hashed at rest, sessions that a
/// request in flight cannot bring back to life after they were deleted (such a save is an error), keys that
/// are stored one by one. What tower-sessions itself decides stays: it stores nothing on a `5xx`, deletes the
/// old id when it cycles ids, and writes all keys of a request that changed one, so that the later of two
/// requests wins. [`Sessions`](super::Sessions) have no such gaps.
#[derive(Clone)]
pub struct TowerSessionStore {
    store: Arc<dyn SessionStore>,
    keyspace: Keyspace,
    clock: Arc<dyn Clock>,
}

impl TowerSessionStore {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        keyspace: Keyspace,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            keyspace,
            clock,
        }
    }

    fn keys(&self, id: Id) -> SessionKeys {
        let digest = Sha256::digest(id.0.to_be_bytes());
        let (hash, tag) = digest.split_at(24);
        // Every session has a slot of its own: nothing here knows its user.
        let tag = [tag, digest.get(..4).unwrap_or_default()].concat();
        SessionKeys {
            of_user: self.keyspace.sessions(&URL_SAFE_NO_PAD.encode(tag)),
            id_hash: URL_SAFE_NO_PAD.encode(hash),
        }
    }

    /// How long a record still lasts; `None` when its time is over.
    fn lasts(&self, record: &Record) -> Option<Ttl> {
        let ends = record.expiry_date.unix_timestamp_nanos();
        let now = i128::try_from(self.clock.unix().as_nanos()).ok()?;
        let most = i128::try_from(Ttl::MAX.as_nanos()).ok()?;
        let left = u64::try_from((ends - now).min(most)).ok()?;
        Ttl::new(Duration::from_nanos(left)).ok()
    }
}

fn split(record: &Record) -> TowerResult<Fields> {
    let keys = record.data.iter();
    let keys: Map<String, Value> = keys
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    PerKey
        .split(&Value::Object(keys))
        .map_err(|error| TowerError::Encode(error.to_string()))
}

/// tower-sessions takes no source: its error is a text.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn backend(error: Error) -> TowerError {
    tracing::warn!(%error, "a session of tower-sessions cannot be read or written");
    TowerError::Backend(error.to_string())
}

#[async_trait]
impl TowerStore for TowerSessionStore {
    async fn create(&self, record: &mut Record) -> TowerResult<()> {
        let Some(lasts) = self.lasts(record) else {
            return Ok(());
        };
        let mut tried = 0;
        while self
            .store
            .load(&self.keys(record.id))
            .await
            .map_err(backend)?
            .is_some()
        {
            tried += 1;
            if tried == IDS_TRIED {
                return Err(TowerError::Backend("no id is free".to_owned()));
            }
            record.id = Id::default();
        }
        let session = NewSession {
            user: None,
            data: split(record)?,
            device: Device::default(),
            seed: String::new(),
            idle: lasts,
            absolute: lasts,
            cap: None,
            replaces: None,
        };
        let created = self.store.create(&self.keys(record.id), &session).await;
        created.map(drop).map_err(backend)
    }

    async fn save(&self, record: &Record) -> TowerResult<()> {
        let keys = self.keys(record.id);
        let Some(lasts) = self.lasts(record) else {
            return self.store.revoke(&keys).await.map(drop).map_err(backend);
        };
        let ended =
            || TowerError::Backend("the session has ended: it is not made again".to_owned());
        let stored = self.store.load(&keys).await.map_err(backend)?;
        let stored = stored.ok_or_else(ended)?;
        let save = Save {
            changes: &fields::changes(&stored.data, &split(record)?, &stored.data),
            on_conflict: OnConflict::Overwrite,
            lasts: Some(lasts),
        };
        match self.store.save(&keys, &save).await.map_err(backend)? {
            Saved::Stored => Ok(()),
            Saved::Ended | Saved::Conflict(_) => Err(ended()),
        }
    }

    async fn load(&self, id: &Id) -> TowerResult<Option<Record>> {
        let stored = self.store.load(&self.keys(*id)).await.map_err(backend)?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let data = PerKey.join(&stored.data);
        let data = data.map_err(|error: Error| TowerError::Decode(error.to_string()))?;
        let ends = self.clock.unix() + stored.record.absolute_in;
        let ends = i128::try_from(ends.as_nanos()).unwrap_or(i128::MAX);
        let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(ends)
            .map_err(|error| TowerError::Decode(error.to_string()))?;
        Ok(Some(Record {
            id: *id,
            data,
            expiry_date,
        }))
    }

    async fn delete(&self, id: &Id) -> TowerResult<()> {
        let keys = self.keys(*id);
        self.store.revoke(&keys).await.map(drop).map_err(backend)
    }
}

impl fmt::Debug for TowerSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionStore")
            .field("keyspace", &self.keyspace)
            .finish_non_exhaustive()
    }
}
