//! How long sessions live and how their data is stored.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::handle::{Lifetimes, Sessions};
use super::id::Tagger;
use crate::backend::SessionStore;
use crate::codec::{Codec, Json};
use crate::error::Result;
use crate::key::Keyspace;

/// Defines [`Sessions`]; made by [`Mainstay::sessions`](crate::Mainstay::sessions).
#[must_use]
pub struct SessionsBuilder<T, C = Json> {
    store: Arc<dyn SessionStore>,
    keyspace: Keyspace,
    idle: Duration,
    absolute: Duration,
    tagger: Tagger,
    codec: C,
    data: PhantomData<fn() -> T>,
}

impl<T> SessionsBuilder<T> {
    pub(crate) fn new(store: Arc<dyn SessionStore>, keyspace: Keyspace) -> Self {
        Self {
            store,
            keyspace,
            idle: Duration::from_hours(1),
            absolute: Duration::from_hours(24),
            tagger: Tagger::new(&[]),
            codec: Json,
            data: PhantomData,
        }
    }
}

impl<T, C> SessionsBuilder<T, C> {
    /// A session dies after this long without activity; default 1 h.
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// A session dies after this long in any case; default 24 h.
    pub fn absolute(self, absolute: Duration) -> Self {
        Self { absolute, ..self }
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

    /// How the data becomes bytes; [`Json`] by default.
    pub fn codec<D: Codec<T> + 'static>(self, codec: D) -> SessionsBuilder<T, D> {
        SessionsBuilder {
            store: self.store,
            keyspace: self.keyspace,
            idle: self.idle,
            absolute: self.absolute,
            tagger: self.tagger,
            codec,
            data: PhantomData,
        }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a time is no [`Ttl`](crate::Ttl) or the idle
    /// time is longer than the absolute one.
    pub fn build(self) -> Result<Sessions<T>>
    where
        C: Codec<T> + 'static,
    {
        let lifetimes = Lifetimes::new(self.idle, self.absolute)?;
        let codec = Arc::new(self.codec);
        Ok(Sessions::new(
            self.store,
            self.keyspace,
            lifetimes,
            self.tagger,
            codec,
        ))
    }
}

impl<T, C> fmt::Debug for SessionsBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsBuilder")
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .finish_non_exhaustive()
    }
}
