//! Contract of the session store.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Keeps sessions and the epoch that makes all sessions of a user valid or not.
///
/// # Behaviour
/// - A session is valid while its epoch equals its user's, its idle time has not run out and its
///   absolute deadline has not passed; all by the store's clock, all in one atomic step.
/// - `revoke_all` moves the user's epoch: whatever was created before it is invalid after it,
///   whatever is created after it is valid. It takes constant time.
/// - A user without an epoch has no valid session. A new epoch is at least the store's clock in
///   microseconds, so a lost one never comes back.
/// - `load` never creates anything and answers `None` for an unknown, expired or revoked session.
/// - The listing holds every valid session, and no other.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new session and lists it under its user.
    async fn create(&self, keys: &SessionKeys, session: &NewSession<'_>) -> Result<()>;

    /// The session, if valid; counts as activity.
    async fn load(&self, keys: &SessionKeys) -> Result<Option<StoredSession>>;

    /// Removes one session; true if it was valid.
    async fn revoke(&self, keys: &SessionKeys) -> Result<bool>;

    /// Invalidates every session of the user; how many were listed.
    async fn revoke_all(&self, user: &StoreKey, index: &StoreKey) -> Result<u64>;

    /// The user's valid sessions, newest deadline first, at most `limit`.
    /// `record_of` gives the record's key for an id hash.
    async fn list(
        &self,
        user: &StoreKey,
        index: &StoreKey,
        record_of: &(dyn for<'a> Fn(&'a str) -> StoreKey + Send + Sync),
        limit: usize,
    ) -> Result<Vec<ListedSession>>;
}

/// The keys of one session; they share a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys {
    /// The session's record.
    pub record: StoreKey,
    /// The user's epoch.
    pub user: StoreKey,
    /// The user's listing.
    pub index: StoreKey,
    /// Hash of the session's id, as listed.
    pub id_hash: String,
}

/// What `create` stores.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// The user.
    pub user: &'a str,
    /// Encoded data.
    pub data: Bytes,
    /// Dies after this long without activity.
    pub idle: Ttl,
    /// Dies after this long in any case.
    pub absolute: Ttl,
}

/// A valid session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// The record.
    pub record: SessionRecord,
    /// Encoded data.
    pub data: Bytes,
}

/// What is known of a session besides its data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The user.
    pub user: String,
    /// Time since it was created.
    pub age: Duration,
    /// Time since it was last seen to be used, exact to a twentieth of the idle time.
    pub idle_for: Duration,
    /// Until it dies if it is not used.
    pub expires_in: Duration,
    /// Until it dies in any case.
    pub absolute_in: Duration,
}

/// One line of a user's listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedSession {
    /// Names the session without being able to use it.
    pub id_hash: String,
    /// The record.
    pub record: SessionRecord,
}
