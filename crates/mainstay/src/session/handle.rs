//! Loads, lists and revokes sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tracing::{Instrument, Span, debug_span, field};

use super::SessionId;
use super::fields::Layout;
use super::id::{Tagger, UserTag, is_hash};
use super::record::{Origin, Session};
use super::token::KeyRing;
use crate::backend::{
    Cap, Fields, ListedSession, SessionKeys, SessionStore, StoredSession, UserKeys,
};
use crate::error::{Error, Result};
use crate::key::{Key, Keyspace};
use crate::ttl::Ttl;

/// Most lines of a listing that is not told how many.
const LISTED_MAX: usize = 1_000;

/// Most lines of any.
const LISTED_AT_ALL: usize = 1_000_000;

/// The sessions of an application; each carries a `T`.
///
/// Cheap to clone. The store's clock decides when a session ends.
pub struct Sessions<T>(Arc<Inner<T>>);

struct Inner<T> {
    store: Arc<dyn SessionStore>,
    keyspace: Keyspace,
    terms: Terms,
    tagger: Tagger,
    ring: KeyRing,
    layout: Arc<dyn Layout<T>>,
}

/// What holds for every session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) lifetimes: Lifetimes,
    pub(super) grace: Ttl,
    pub(super) cap: Option<Cap>,
    pub(super) max_data_bytes: usize,
}

/// How long a session lives: idle at most as long as absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetimes {
    pub(super) idle: Ttl,
    pub(super) absolute: Ttl,
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
        terms: Terms,
        tagger: Tagger,
        ring: KeyRing,
        layout: Arc<dyn Layout<T>>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            keyspace,
            terms,
            tagger,
            ring,
            layout,
        }))
    }

    /// The text that a client is given for an id, as a cookie or a bearer token: the id, with a signature
    /// of 24 characters where [keys](super::SessionsBuilder::signed_by) are given.
    pub fn token(&self, id: &SessionId) -> String {
        self.0.ring.sign(id)
    }

    /// The id in a [token](Self::token).
    ///
    /// ```
    /// # fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let sessions = stay.sessions::<()>().signed_by(["32 bytes or more that are random"]).build()?;
    /// let id: mainstay::session::SessionId = "A".repeat(48).parse()?;
    /// let token = sessions.token(&id);
    /// assert_eq!(sessions.open_token(&token)?, id);
    /// assert!(sessions.open_token(id.expose()).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for text that is no id, or that none of the keys has signed;
    /// the message does not show it.
    pub fn open_token(&self, text: &str) -> Result<SessionId> {
        self.0.ring.open(text)
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
        let span = debug_span!("session.load", outcome = field::Empty);
        let loading = async {
            let keys = self.keys(&id.tag(), id.hash());
            let stored = self.0.store.load(&keys).await?;
            let outcome = if stored.is_some() { "valid" } else { "none" };
            Span::current().record("outcome", outcome);
            let session = stored.map(|stored| self.session(id, keys, stored));
            session.transpose()
        };
        loading.instrument(span).await
    }

    fn session(
        &self,
        id: &SessionId,
        keys: SessionKeys,
        stored: StoredSession,
    ) -> Result<Session<T>> {
        let data = self.join(&stored.data)?;
        let renewed = stored
            .successors
            .filter(|derivations| !derivations.is_empty());
        let renewed = renewed.map(|derivations| {
            let derivations = derivations.iter();
            derivations.fold(id.clone(), |id, derivation| id.successor(derivation))
        });
        let origin = Origin {
            keys,
            id_hash: stored.id_hash,
            stored: stored.data,
            seed: stored.seed,
        };
        Ok(Session::new(stored.record, data, renewed, origin))
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
        let span = debug_span!("session.revoke_all");
        let keys = self.user_keys(&tag);
        let revoked = self.0.store.revoke_all(&keys).instrument(span).await?;
        counter!("mainstay_sessions_revoked_total").increment(revoked);
        Ok(revoked)
    }

    /// Ends all sessions of a session's user but this one, in constant time; how many others were listed.
    /// `None`, and none ends, when this one is not valid.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn revoke_others(&self, id: &SessionId) -> Result<Option<u64>> {
        let span = debug_span!("session.revoke_others");
        let keys = self.keys(&id.tag(), id.hash());
        let revoked = self.0.store.revoke_others(&keys).instrument(span).await?;
        counter!("mainstay_sessions_revoked_total").increment(revoked.unwrap_or_default());
        Ok(revoked)
    }

    /// The user's valid sessions, at most 1,000, those first that end last. Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user that is no [`Key`];
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn list(&self, user: &str) -> Result<Vec<ListedSession>> {
        self.list_up_to(user, LISTED_MAX).await
    }

    /// As [`list`](Self::list), with another limit; a million at most.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn list_up_to(&self, user: &str, limit: usize) -> Result<Vec<ListedSession>> {
        let keys = self.user_keys(&self.tag(user)?);
        match limit.min(LISTED_AT_ALL) {
            0 => Ok(Vec::new()),
            limit => self.0.store.list(&keys, limit).await,
        }
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
        let span = debug_span!("session.revoke");
        let keys = self.keys(tag, id_hash);
        let revoked = self.0.store.revoke(&keys).instrument(span).await?;
        counter!("mainstay_sessions_revoked_total").increment(u64::from(revoked));
        Ok(revoked)
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.0.terms
    }

    pub(super) fn store(&self) -> &dyn SessionStore {
        &*self.0.store
    }

    pub(super) fn split(&self, data: &T) -> Result<Fields> {
        self.0.layout.split(data)
    }

    pub(super) fn join(&self, fields: &Fields) -> Result<T> {
        self.0.layout.join(fields)
    }

    pub(super) fn tag(&self, user: &str) -> Result<UserTag> {
        Key::new(user)?;
        Ok(self.0.tagger.tag(user))
    }

    pub(super) fn keys(&self, tag: &UserTag, id_hash: String) -> SessionKeys {
        SessionKeys {
            of_user: self.user_keys(tag),
            id_hash,
        }
    }

    fn user_keys(&self, tag: &UserTag) -> UserKeys {
        self.0.keyspace.sessions(tag.as_str())
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
            .field("terms", &self.0.terms)
            .field("keys", &self.0.ring)
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
