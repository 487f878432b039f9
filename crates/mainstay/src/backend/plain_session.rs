//! Contract of the store of plain sessions.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Keeps sessions in the layout that programs without mainstay share: a record a session, and the ids
/// of a user's sessions.
///
/// # Behaviour
/// - A session is valid until its time to live is over, by the store's clock, whether it is used or
///   not. One that another program has stored without a time to live is valid until what it says
///   itself.
/// - Every session gets a random id that nothing had before; an id that has ended never comes back.
/// - `revoke_all` ends every session that was listed when it was called. One that is created meanwhile
///   ends, or is listed after it. It takes as many steps as there are sessions, and when it breaks off,
///   what it has not ended is still listed.
/// - The listing holds every session that `create` has returned and that is valid, and is kept at
///   least as long. A creation that breaks off leaves nothing that is valid and not listed for longer
///   than a call may take.
/// - `list` returns none that is not valid, and forgets those that it finds to have ended.
#[async_trait]
pub trait PlainSessionStore: Send + Sync {
    /// Stores a new session under an id of the store's choosing, and lists it.
    async fn create(
        &self,
        layout: &PlainLayout,
        session: &NewPlainSession<'_>,
    ) -> Result<PlainSession>;

    /// The session, if valid.
    async fn load(&self, layout: &PlainLayout, id: &str) -> Result<Option<PlainSession>>;

    /// Removes one session; true if there was one.
    async fn revoke(&self, layout: &PlainLayout, id: &str) -> Result<bool>;

    /// Removes every session of the user; how many there were.
    async fn revoke_all(&self, layout: &PlainLayout, user_id: &str) -> Result<u64>;

    /// The user's valid sessions, at most `limit`, those first that end last. Which ones, when there
    /// are more, is not said.
    async fn list(
        &self,
        layout: &PlainLayout,
        user_id: &str,
        limit: usize,
    ) -> Result<Vec<PlainSession>>;
}

/// Where plain sessions stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainLayout {
    /// What the keys of sessions start with; the id follows.
    pub sessions: StoreKey,
    /// What the keys of listings start with; the user and `:sessions` follow.
    pub users: StoreKey,
}

impl PlainLayout {
    /// The key of the session with this id.
    pub(crate) fn session(&self, id: &str) -> StoreKey {
        self.sessions.below(id)
    }

    /// The key of the user's listing.
    pub(crate) fn listing(&self, user_id: &str) -> StoreKey {
        self.users.below(&format!("{user_id}:sessions"))
    }
}

/// What `create` stores.
#[derive(Debug, Clone, Copy)]
pub struct NewPlainSession<'a> {
    /// The user.
    pub user_id: &'a str,
    /// The tenant that the user acts for.
    pub tenant_id: &'a str,
    /// What the user may do.
    pub role: &'a str,
    /// How long it is valid.
    pub ttl: Ttl,
}

impl NewPlainSession<'_> {
    /// The session under its id.
    pub(crate) fn issue(&self, id: String, expires_at: SystemTime) -> PlainSession {
        PlainSession {
            id,
            user_id: self.user_id.to_owned(),
            tenant_id: self.tenant_id.to_owned(),
            role: self.role.to_owned(),
            expires_at,
        }
    }
}

/// A session that programs without mainstay can read.
///
/// `Debug` hides the id.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let sessions = mainstay::Mainstay::memory().plain_sessions().build()?;
/// let session = sessions.create("ada", "plant", "engineer").await?;
/// assert_eq!(session.id.len(), 36);
/// assert!(!format!("{session:?}").contains(&session.id));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainSession {
    /// Its id: whoever has it is the user. Of ours a UUID (version 4). Keep it out of logs.
    pub id: String,
    /// The user.
    pub user_id: String,
    /// The tenant that the user acts for.
    pub tenant_id: String,
    /// What the user may do.
    pub role: String,
    /// When it ends, as whoever created it has written down. The store decides by the time to live
    /// that it was given.
    pub expires_at: SystemTime,
}

impl fmt::Debug for PlainSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainSession")
            .field("id", &"***")
            .field("user_id", &self.user_id)
            .field("tenant_id", &self.tenant_id)
            .field("role", &self.role)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}
