//! How long sessions live and how their data is stored.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::fields::{Layout, PerKey, Whole};
use super::handle::{Lifetimes, Sessions, Terms};
use super::id::Tagger;
use super::token::KeyRing;
use crate::backend::{Cap, SessionStore, WhenFull};
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::Keyspace;
use crate::ttl::Ttl;

/// Bytes of data that a session may have.
const DATA_BYTES_MAX: usize = 64 << 10;

/// How long an old id works.
const GRACE: Duration = Duration::from_secs(10);

/// Defines [`Sessions`]; made by [`Mainstay::sessions`](crate::Mainstay::sessions).
#[must_use]
pub struct SessionsBuilder<T, L = PerKey> {
    store: Arc<dyn SessionStore>,
    keyspace: Keyspace,
    idle: Duration,
    absolute: Duration,
    grace: Duration,
    cap: Option<Cap>,
    max_data_bytes: usize,
    tagger: Tagger,
    keys: Option<Vec<Vec<u8>>>,
    layout: L,
    data: PhantomData<fn() -> T>,
}

impl<T> SessionsBuilder<T> {
    pub(crate) fn new(store: Arc<dyn SessionStore>, keyspace: Keyspace) -> Self {
        Self {
            store,
            keyspace,
            idle: Duration::from_hours(1),
            absolute: Duration::from_hours(24),
            grace: GRACE,
            cap: None,
            max_data_bytes: DATA_BYTES_MAX,
            tagger: Tagger::new(&[]),
            keys: None,
            layout: PerKey,
            data: PhantomData,
        }
    }
}

impl<T, L> SessionsBuilder<T, L> {
    /// A session dies after this long without activity; default 1 h. It is noticed at the latest a
    /// twentieth of that time after it, and never before.
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// A session dies after this long in any case; default 24 h.
    pub fn absolute(self, absolute: Duration) -> Self {
        Self { absolute, ..self }
    }

    /// How long the old id of a session works when it has a new one, for requests that are on their
    /// way; default 10 s.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// How many valid sessions a user may have, and what a log-in beyond that does; no limit by default.
    /// Never are there more, however many log in at a time.
    pub fn at_most(self, sessions: NonZeroU32, when_full: WhenFull) -> Self {
        let cap = Some(Cap {
            sessions: sessions.get(),
            when_full,
        });
        Self { cap, ..self }
    }

    /// How large a session's data may be when it is encoded; default 64 KiB.
    pub fn max_data_bytes(self, max_data_bytes: usize) -> Self {
        Self {
            max_data_bytes,
            ..self
        }
    }

    /// The key of the tag that stands for a user in ids and keys, so that nobody who sees an id
    /// can tell whose it is. All processes must share it: under another secret a user's earlier
    /// sessions are not found by [`revoke_all`](Sessions::revoke_all) and
    /// [`list`](Sessions::list). Empty by default.
    pub fn secret(self, secret: impl AsRef<[u8]>) -> Self {
        Self {
            tagger: Tagger::new(secret.as_ref()),
            ..self
        }
    }

    /// Keys of at least 32 bytes that [tokens](Sessions::token) are signed with, so that what nobody
    /// issued is refused without a call of the store. The first signs, all are accepted: put a new one in
    /// front, and take the old one away when the sessions that it signed have ended. Without keys a
    /// token is the id.
    pub fn signed_by<K: AsRef<[u8]>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(|key| key.as_ref().to_vec());
        Self {
            keys: Some(keys.collect()),
            ..self
        }
    }

    /// How the data becomes bytes, in one piece. Without it a JSON object is stored key by key, so that
    /// changes of different keys never meet; under another codec every change is one of all.
    pub fn codec<D: Codec<T> + 'static>(self, codec: D) -> SessionsBuilder<T, Whole<D>> {
        SessionsBuilder {
            store: self.store,
            keyspace: self.keyspace,
            idle: self.idle,
            absolute: self.absolute,
            grace: self.grace,
            cap: self.cap,
            max_data_bytes: self.max_data_bytes,
            tagger: self.tagger,
            keys: self.keys,
            layout: Whole(codec),
            data: PhantomData,
        }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a time is no [`Ttl`], the idle time is longer than the
    /// absolute one, a key to sign with is shorter than 32 bytes or there is none, or no data is allowed.
    pub fn build(self) -> Result<Sessions<T>>
    where
        L: Layout<T> + 'static,
    {
        if self.max_data_bytes == 0 {
            return Err(Error::invalid(
                "sessions may have no data: allow some bytes",
            ));
        }
        let terms = Terms {
            lifetimes: Lifetimes::new(self.idle, self.absolute)?,
            grace: Ttl::new(self.grace)?,
            cap: self.cap,
            max_data_bytes: self.max_data_bytes,
        };
        let ring = self.keys.as_deref().map(KeyRing::new).transpose()?;
        Ok(Sessions::new(
            self.store,
            self.keyspace,
            terms,
            self.tagger,
            ring.unwrap_or_default(),
            Arc::new(self.layout),
        ))
    }
}

impl<T, L> fmt::Debug for SessionsBuilder<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsBuilder")
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .finish_non_exhaustive()
    }
}
