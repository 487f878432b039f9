//! Creates, loads, lists and revokes sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;

use super::id::{Tagger, UserTag, is_hash};
use super::{Issued, Session, SessionId};
use crate::backend::{ListedSession, NewSession, SessionKeys, SessionStore};
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::key::{Key, Keyspace};
use crate::ttl::Ttl;

/// Most lines of one listing.
const LISTED_MAX: usize = 1_000;

/// The sessions of an application; each carries a `T`.
///
/// Cheap to clone. The store's clock decides when a session ends.
pub struct Sessions<T>(Arc<Inner<T>>);

struct Inner<T> {
    store: Arc<dyn SessionStore>,
    keyspace: Keyspace,
    lifetimes: Lifetimes,
    tagger: Tagger,
    codec: Arc<dyn Codec<T>>,
}

/// How long a session lives: idle at most as long as absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetimes {
    idle: Ttl,
    absolute: Ttl,
}

impl Lifetimes {
    pub(super) fn new(idle: Duration, absolute: Duration) -> Result<Self> {
        let (idle, absolute) = (Ttl::new(idle)?, Ttl::new(absolute)?);
        if idle > absolute {
            return Err(Error::invalid(
                "idle time of a session is longer than its absolute time",
            ));
        }
        Ok(Self { idle, absolute })
    }
}

impl<T> Sessions<T> {
    pub(super) fn new(
        store: Arc<dyn SessionStore>,
        keyspace: Keyspace,
        lifetimes: Lifetimes,
        tagger: Tagger,
        codec: Arc<dyn Codec<T>>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            keyspace,
            lifetimes,
            tagger,
            codec,
        }))
    }

    /// Creates a session with the configured lifetimes. Every log-in gets a new id.
    ///
    /// Not cancel safe: a dropped call may leave a session that nobody has the id of; it dies
    /// after its idle time.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user that is no [`Key`];
    /// [`Codec`](crate::ErrorKind::Codec) for data that cannot be encoded;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer: the caller is then not logged in.
    pub async fn create(&self, user: &str, data: &T) -> Result<Issued> {
        self.create_for(user, data, self.0.lifetimes).await
    }

    /// Creates a session with lifetimes of its own.
    ///
    /// Cancel safety as [`create`](Self::create).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let sessions = mainstay::Mainstay::memory().sessions::<()>().build()?;
    /// let (idle, absolute) = (Duration::from_mins(1), Duration::from_secs(300));
    /// let issued = sessions.create_with("ada", &(), idle, absolute).await?;
    /// assert_eq!(issued.expires_in, idle);
    /// assert!(sessions.create_with("ada", &(), absolute, idle).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create); [`Invalid`](crate::ErrorKind::Invalid) as well when a time is
    /// no [`Ttl`] or `idle` is longer than `absolute`.
    pub async fn create_with(
        &self,
        user: &str,
        data: &T,
        idle: Duration,
        absolute: Duration,
    ) -> Result<Issued> {
        let lifetimes = Lifetimes::new(idle, absolute)?;
        self.create_for(user, data, lifetimes).await
    }

    async fn create_for(&self, user: &str, data: &T, lifetimes: Lifetimes) -> Result<Issued> {
        let tag = self.tag(user)?;
        let data = self.0.codec.encode(data)?;
        let id = SessionId::random(&tag);
        let session = NewSession {
            user,
            data,
            idle: lifetimes.idle,
            absolute: lifetimes.absolute,
        };
        let keys = self.keys(&tag, id.hash());
        self.0.store.create(&keys, &session).await?;
        counter!("mainstay_sessions_created_total").increment(1);
        Ok(Issued::new(id, lifetimes.idle.as_duration()))
    }

    /// The session, if it is valid; counts as activity.
    ///
    /// `None` for an id that is unknown, expired or revoked; nothing is ever created.
    /// Cancel safe: a dropped call may have counted as activity.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) when its data is not a `T`: never an empty session.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer: that is no reason to log anybody out.
    pub async fn load(&self, id: &SessionId) -> Result<Option<Session<T>>> {
        let keys = self.keys(&id.tag(), id.hash());
        let Some(stored) = self.0.store.load(&keys).await? else {
            return Ok(None);
        };
        let data = self.0.codec.decode(&stored.data)?;
        Ok(Some(Session::new(stored.record, data)))
    }

    /// Ends one session; true if it was valid.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn revoke(&self, id: &SessionId) -> Result<bool> {
        self.revoke_one(&id.tag(), id.hash()).await
    }

    /// Ends all sessions of a user, in constant time; how many were listed.
    ///
    /// What was created before is invalid after it, what is created after it is valid.
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user that is no [`Key`];
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn revoke_all(&self, user: &str) -> Result<u64> {
        let tag = self.tag(user)?;
        let (epoch, index) = self.user_keys(&tag);
        let revoked = self.0.store.revoke_all(&epoch, &index).await?;
        counter!("mainstay_sessions_revoked_total").increment(revoked);
        Ok(revoked)
    }

    /// The user's valid sessions, newest deadline first, at most 1,000. Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user that is no [`Key`];
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn list(&self, user: &str) -> Result<Vec<ListedSession>> {
        let tag = self.tag(user)?;
        let (epoch, index) = self.user_keys(&tag);
        let record_of = |id_hash: &str| self.0.keyspace.session(tag.as_str(), id_hash);
        self.0
            .store
            .list(&epoch, &index, &record_of, LISTED_MAX)
            .await
    }

    /// Ends the session that a listing names by its hash; true if it was valid.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let sessions = mainstay::Mainstay::memory().sessions::<()>().build()?;
    /// sessions.create("ada", &()).await?;
    /// let listed = sessions.list("ada").await?;
    /// assert_eq!(listed.len(), 1);
    /// assert!(sessions.revoke_listed("ada", &listed[0].id_hash).await?);
    /// assert!(!sessions.revoke_listed("ada", &listed[0].id_hash).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user that is no [`Key`] and a hash that is
    /// none; [`Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`Unknown`](crate::ErrorKind::Unknown) when the backend does not answer.
    pub async fn revoke_listed(&self, user: &str, id_hash: &str) -> Result<bool> {
        if !is_hash(id_hash) {
            return Err(Error::invalid(
                "hash of a session id is not 32 characters of base64url",
            ));
        }
        self.revoke_one(&self.tag(user)?, id_hash.to_owned()).await
    }

    async fn revoke_one(&self, tag: &UserTag, id_hash: String) -> Result<bool> {
        let revoked = self.0.store.revoke(&self.keys(tag, id_hash)).await?;
        counter!("mainstay_sessions_revoked_total").increment(u64::from(revoked));
        Ok(revoked)
    }

    fn tag(&self, user: &str) -> Result<UserTag> {
        Key::new(user)?;
        Ok(self.0.tagger.tag(user))
    }

    fn keys(&self, tag: &UserTag, id_hash: String) -> SessionKeys {
        let (user, index) = self.user_keys(tag);
        SessionKeys {
            record: self.0.keyspace.session(tag.as_str(), &id_hash),
            user,
            index,
            id_hash,
        }
    }

    fn user_keys(&self, tag: &UserTag) -> (crate::StoreKey, crate::StoreKey) {
        let keyspace = &self.0.keyspace;
        (
            keyspace.user(tag.as_str()),
            keyspace.user_sessions(tag.as_str()),
        )
    }
}

impl<T> Clone for Sessions<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Sessions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("lifetimes", &self.0.lifetimes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_time_above_the_absolute_one_is_refused() {
        let second = Duration::from_secs(1);
        let error = Lifetimes::new(2 * second, second).unwrap_err();
        assert_eq!(
            error.to_string(),
            "idle time of a session is longer than its absolute time"
        );
        assert!(Lifetimes::new(second, second).is_ok());
    }
}
