//! What callers get to know of a session.

use std::fmt;
use std::time::Duration;

use super::SessionId;
use crate::backend::{Device, Fields, SessionKeys, SessionRecord};

/// A session that has a new id.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Issued {
    /// Its id, for the client and nobody else.
    pub id: SessionId,
    /// Until it dies if it is not used.
    pub expires_in: Duration,
    /// Until it dies in any case.
    pub absolute_in: Duration,
}

/// What became of a log-in.
#[derive(Debug, Clone)]
#[must_use]
pub enum LoggedIn {
    /// There is a new session.
    Issued(Issued),
    /// The user has as many sessions as are allowed, and no other is to end for it.
    Full,
}

/// What became of a session that was to have another id.
#[derive(Debug, Clone)]
#[must_use]
pub enum Renewed {
    /// It has this one.
    Issued(Issued),
    /// It got another one elsewhere, by a log-in that only its client knows. The old id works for the
    /// rest of its grace.
    Elsewhere,
    /// There is no such session.
    Ended,
}

/// A valid session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Session<T> {
    /// The user it belongs to; `None` before log-in.
    pub user: Option<String>,
    /// What was stored with it.
    pub data: T,
    /// Where it is used from.
    pub device: Device,
    /// Time since it was created.
    pub age: Duration,
    /// Time since the user last authenticated, by log-in or
    /// [again](super::Sessions::authenticate_again).
    pub authenticated_for: Duration,
    /// Time since it was used before this call, exact to a twentieth of the idle time.
    pub idle_for: Duration,
    /// Until it dies if it is not used.
    pub expires_in: Duration,
    /// Until it dies in any case.
    pub absolute_in: Duration,
    /// The id that the client is to use from now on, as the session has [moved](super::Sessions::rotate)
    /// to it.
    pub renewed: Option<SessionId>,
    pub(super) origin: Origin,
}

/// What a session was loaded as.
#[derive(Clone)]
pub(super) struct Origin {
    /// By the id that was asked for: to ask by a later one would be its first use.
    pub(super) keys: SessionKeys,
    /// Hash of the id that it has.
    pub(super) id_hash: String,
    pub(super) stored: Fields,
    pub(super) seed: String,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("id_hash", &self.id_hash)
            .finish_non_exhaustive()
    }
}

impl<T> Session<T> {
    pub(super) fn new(
        record: SessionRecord,
        data: T,
        renewed: Option<SessionId>,
        origin: Origin,
    ) -> Self {
        Self {
            user: record.user,
            data,
            device: record.device,
            age: record.age,
            authenticated_for: record.authenticated_for,
            idle_for: record.idle_for,
            expires_in: record.expires_in,
            absolute_in: record.absolute_in,
            renewed,
            origin,
        }
    }

    /// The name of the session in [listings](super::Sessions::list), which nobody can log in with.
    pub fn id_hash(&self) -> &str {
        &self.origin.id_hash
    }
}
