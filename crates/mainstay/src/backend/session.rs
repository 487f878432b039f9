//! Contract of the session store.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// How many times an id may lead to its successor before it leads nowhere.
pub const SUCCESSORS_MAX: usize = 8;

/// The share of the idle time that may pass before a use is written down, and by which a session
/// may outlive it: a twentieth.
pub const TOUCHED_EVERY: u32 = 20;

/// Keeps sessions and the epoch that makes all sessions of a user valid or not.
///
/// # Behaviour
/// - A session is valid while its epoch equals its user's (one without a user has none), its idle
///   time has not run out and its absolute deadline has not passed; all by the store's clock.
/// - Every operation takes effect at one instant between its call and its answer, also beside others.
/// - An idle session ends no sooner than its idle time after its last use, and no later than a
///   [twentieth](TOUCHED_EVERY) of it after that.
/// - `revoke_all` moves the user's epoch: whatever was created before it is invalid after it,
///   whatever is created after it is valid. It takes constant time.
/// - A user without an epoch has no valid session. A new epoch is at least the store's clock in
///   microseconds, so a lost one never comes back.
/// - Only `create` creates, and no call is made twice that could undo another's between. Whatever is asked of an unknown, expired or revoked session changes
///   nothing and says that there is none.
/// - An id that was rotated away leads to its successor: everything that is asked of it is asked of
///   the successor, until its grace is over, which begins when the successor is loaded or rotated by
///   its own id.
/// - The listing holds every valid session of a user, and no other.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new session and lists it under its user, if the user may have one more. Making the
    /// same session twice is making it once.
    async fn create(&self, keys: &SessionKeys, session: &NewSession<'_>) -> Result<Admission>;

    /// The session, if valid; counts as activity. Reading by the successor's id for the first time
    /// begins the grace of what came before.
    async fn load(&self, keys: &SessionKeys) -> Result<Option<StoredSession>>;

    /// Changes fields of the session's data, all or none.
    async fn save(&self, keys: &SessionKeys, save: &Save<'_>) -> Result<Saved>;

    /// Moves the session to another id, which takes its place in the listing.
    async fn rotate(&self, keys: &SessionKeys, rotation: &Rotation<'_>) -> Result<Rotated>;

    /// Removes one session; true if it was valid.
    async fn revoke(&self, keys: &SessionKeys) -> Result<bool>;

    /// Invalidates every session of the user; how many were listed.
    async fn revoke_all(&self, keys: &UserKeys) -> Result<u64>;

    /// Invalidates every session of the user but this one; how many others were listed. `None`,
    /// and nothing changes, when this one is not valid.
    async fn revoke_others(&self, keys: &SessionKeys) -> Result<Option<u64>>;

    /// The user's valid sessions, at most `limit`, those first that end last.
    async fn list(&self, keys: &UserKeys, limit: usize) -> Result<Vec<ListedSession>>;
}

/// The keys of one user's sessions; they share a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserKeys {
    /// What the records' keys start with; the hash of the id follows.
    pub records: StoreKey,
    /// The user's epoch.
    pub user: StoreKey,
    /// The user's listing.
    pub index: StoreKey,
}

impl UserKeys {
    /// The key of the record of the session with this id.
    pub(crate) fn record(&self, id_hash: &str) -> StoreKey {
        self.records.below(id_hash)
    }
}

/// The keys of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys {
    /// Those of its user.
    pub of_user: UserKeys,
    /// Hash of the session's id, as listed.
    pub id_hash: String,
}

impl SessionKeys {
    /// The key of the session's record.
    pub(crate) fn record(&self) -> StoreKey {
        self.of_user.record(&self.id_hash)
    }

    /// Those of its successor.
    pub(crate) fn moved(&self, id_hash: String) -> Self {
        Self {
            of_user: self.of_user.clone(),
            id_hash,
        }
    }
}

/// The data of a session as stored: named values, each of which can change by itself. Names are
/// `data` or start with a dot.
pub type Fields = BTreeMap<String, Bytes>;

/// What `create` stores.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// The user; nobody for a session before log-in, which is not listed.
    pub user: Option<&'a str>,
    /// Encoded data.
    pub data: Fields,
    /// Where it is used from.
    pub device: Device,
    /// Random text that stays with the session through all its ids.
    pub seed: String,
    /// Dies after this long without activity.
    pub idle: Ttl,
    /// Dies after this long in any case.
    pub absolute: Ttl,
    /// How many sessions the user may have.
    pub cap: Option<Cap>,
    /// Hash of the id of a session of the same user whose place this one takes: it ends, and does not
    /// count.
    pub replaces: Option<String>,
}

/// How many valid sessions a user may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// So many.
    pub sessions: u32,
    /// What happens to one more.
    pub when_full: WhenFull,
}

/// What a log-in does when its user has as many sessions as are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// It ends the session that would end first: the one that was not used for the longest, where
    /// all have the same idle time.
    EndOldest,
    /// It is refused.
    Refuse,
}

/// Whether a session was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// Yes; so many others ended for it.
    Created {
        /// Sessions that ended to make room, and that whose place it took.
        ended: u64,
    },
    /// The user has as many sessions as are allowed.
    Full,
}

/// Where a session is used from, as its user is shown it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Device {
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The network that it came from.
    pub network: Option<String>,
}

/// What `save` changes.
#[derive(Debug, Clone, Copy)]
pub struct Save<'a> {
    /// The fields.
    pub changes: &'a [FieldChange],
    /// What becomes of them when one is no longer what it was.
    pub on_conflict: OnConflict,
    /// The session is to last exactly so long from now, whether it is used or not.
    pub lasts: Option<Ttl>,
}

/// One field that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub name: String,
    /// What it was when the change was thought of.
    pub before: Option<Bytes>,
    /// What it is to be; `None` removes it.
    pub after: Option<Bytes>,
}

/// What becomes of a change when its field is no longer what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The change is made all the same.
    Overwrite,
    /// None of the changes is made.
    Refuse,
}

/// What became of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// They are stored.
    Stored,
    /// None was made: these fields are no longer what they were.
    Conflict(Vec<String>),
    /// There is no such session.
    Ended,
}

/// How a session gets another id.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// Hash of the new id.
    pub id_hash: &'a str,
    /// How the old id goes on.
    pub handover: Handover<'a>,
    /// How long the old id works.
    pub grace: Ttl,
}

/// How an old id goes on when a session has another.
#[derive(Debug, Clone, Copy)]
pub enum Handover<'a> {
    /// Who has the old id may have the new one, which follows from it and this; the grace begins when
    /// the new one is used first.
    Derived(&'a str),
    /// The user has authenticated again. The old id works for the grace, as one that has not.
    Authenticated,
}

/// What became of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// The session has the new id.
    Done(SessionTimes),
    /// Another came first: what the successor's id follows from, if it may be known.
    Before(Option<String>),
    /// There is no such session.
    Ended,
}

/// How long a session still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimes {
    /// Until it dies if it is not used.
    pub expires_in: Duration,
    /// Until it dies in any case.
    pub absolute_in: Duration,
}

/// A valid session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// The record.
    pub record: SessionRecord,
    /// Encoded data.
    pub data: Fields,
    /// As it was created with.
    pub seed: String,
    /// Hash of the id that it has now.
    pub id_hash: String,
    /// What the ids follow from that came after the one that was asked for, each from the one before;
    /// `None` when the present id may not be known to who has that one.
    pub successors: Option<Vec<String>>,
}

/// What is known of a session besides its data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The user; `None` before log-in.
    pub user: Option<String>,
    /// Where it is used from.
    pub device: Device,
    /// Time since it was created.
    pub age: Duration,
    /// Time since the user authenticated.
    pub authenticated_for: Duration,
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
