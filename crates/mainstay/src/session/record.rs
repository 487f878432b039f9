//! What callers get to know of a session.

use std::time::Duration;

use super::SessionId;
use crate::backend::SessionRecord;

/// A session that was just created.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Issued {
    /// Its id, for the client and nobody else.
    pub id: SessionId,
    /// Until it dies if it is not used.
    pub expires_in: Duration,
}

impl Issued {
    pub(super) fn new(id: SessionId, expires_in: Duration) -> Self {
        Self { id, expires_in }
    }
}

/// A valid session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session<T> {
    /// The user it belongs to.
    pub user: String,
    /// What was stored with it.
    pub data: T,
    /// Time since it was created.
    pub age: Duration,
    /// Time since it was used before this call, exact to a twentieth of the idle time.
    pub idle_for: Duration,
    /// Until it dies if it is not used.
    pub expires_in: Duration,
    /// Until it dies in any case.
    pub absolute_in: Duration,
}

impl<T> Session<T> {
    pub(super) fn new(record: SessionRecord, data: T) -> Self {
        Self {
            user: record.user,
            data,
            age: record.age,
            idle_for: record.idle_for,
            expires_in: record.expires_in,
            absolute_in: record.absolute_in,
        }
    }
}
