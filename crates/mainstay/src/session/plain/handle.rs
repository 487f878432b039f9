//! Creates, loads, lists and revokes plain sessions.

use std::fmt;
use std::sync::Arc;

use metrics::counter;
use tracing::{Instrument, Span, debug_span, field};

use super::text::{check, check_id};
use crate::backend::{NewPlainSession, PlainLayout, PlainSession, PlainSessionStore};
use crate::error::Result;
use crate::ttl::Ttl;

/// Most lines of one listing.
const LISTED_MAX: usize = 1_000;

/// Sessions that programs without mainstay create, read and revoke as well: JSON under
/// `session:<id>`, and the ids of a user's sessions in a set under `user:<user id>:sessions`.
///
/// They are what that layout can be: whoever reads the store has the ids of all, there is no idle
/// time, loading one is no use of it, and their data is a tenant and a role. Where nobody else shares
/// them, take [`Sessions`](crate::session::Sessions).
///
/// A user's id is written into the key as it is. It may hold any `:`; braces and control characters
/// are refused, as in ids of sessions. Cheap to clone. The store's clock decides when a session ends.
///
/// ```
/// use mainstay::{ErrorKind, Mainstay};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = Mainstay::memory().plain_sessions().build()?;
///
/// let created = sessions.create("ada", "plant", "engineer").await?;
/// let session = sessions.load(&created.id).await?.ok_or("no session")?;
/// assert_eq!((session.user_id.as_str(), session.role.as_str()), ("ada", "engineer"));
/// assert_eq!(sessions.list("ada").await?, [session]);
///
/// assert!(sessions.revoke(&created.id).await?);
/// assert!(sessions.load(&created.id).await?.is_none());
///
/// sessions.create("ada", "plant", "engineer").await?;
/// assert_eq!(sessions.revoke_all("ada").await?, 1);
/// assert!(sessions.list("ada").await?.is_empty());
///
/// let refused = sessions.create("a\nb", "plant", "engineer").await;
/// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
/// # Ok(())
/// # }
/// ```
///
/// # Metrics
/// `mainstay_sessions_created_total` and `mainstay_sessions_revoked_total`, together with other
/// sessions.
///
/// # Spans
/// `plain_session.create`, `plain_session.load`, `plain_session.revoke`, `plain_session.revoke_all`,
/// `plain_session.list`; none tells an id or a user.
#[derive(Clone)]
pub struct PlainSessions(Arc<Inner>);

struct Inner {
    store: Arc<dyn PlainSessionStore>,
    layout: PlainLayout,
    ttl: Ttl,
}

impl PlainSessions {
    pub(super) fn new(store: Arc<dyn PlainSessionStore>, layout: PlainLayout, ttl: Ttl) -> Self {
        Self(Arc::new(Inner { store, layout, ttl }))
    }

    /// Creates a session under a new id. A user's id, a tenant's and a role have at most 1,024 bytes.
    ///
    /// Beside a [`revoke_all`](Self::revoke_all) it comes before it, and is ended, or after it, and
    /// stays. Not cancel safe: a dropped call may leave a session that nobody has the id of, which is
    /// listed until its end.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user's id that is empty, or holds a brace or a
    /// control character, and for text that is too long. [`Unavailable`](crate::ErrorKind::Unavailable)
    /// or [`Unknown`](crate::ErrorKind::Unknown) when the backend does not answer, and `Unavailable`
    /// when the user's sessions are revoked without pause: the caller is then not logged in.
    pub async fn create(&self, user_id: &str, tenant_id: &str, role: &str) -> Result<PlainSession> {
        check_id("user id", user_id)?;
        check("tenant id", tenant_id)?;
        check("role", role)?;
        let Inner { store, layout, ttl } = &*self.0;
        let session = NewPlainSession {
            user_id,
            tenant_id,
            role,
            ttl: *ttl,
        };
        let span = debug_span!("plain_session.create");
        let created = store.create(layout, &session).instrument(span).await?;
        counter!("mainstay_sessions_created_total").increment(1);
        Ok(created)
    }

    /// The session, if it is valid, whoever has created it; `None` for an id that is unknown, expired
    /// or revoked. Does not count as activity. Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for text that can be no id: empty, too long, or with a
    /// brace or a control character; the message does not show it.
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for a record that is not the recipe's.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer: that is no
    /// reason to log anybody out.
    pub async fn load(&self, id: &str) -> Result<Option<PlainSession>> {
        check_id("session id", id)?;
        let span = debug_span!("plain_session.load", outcome = field::Empty);
        let loading = async {
            let session = self.0.store.load(&self.0.layout, id).await?;
            let outcome = if session.is_some() { "valid" } else { "none" };
            Span::current().record("outcome", outcome);
            Ok(session)
        };
        loading.instrument(span).await
    }

    /// Ends one session; true if there was one.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for text that can be no id, as for
    /// [`load`](Self::load); [`Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`Unknown`](crate::ErrorKind::Unknown) when the backend does not answer.
    pub async fn revoke(&self, id: &str) -> Result<bool> {
        check_id("session id", id)?;
        let Inner { store, layout, .. } = &*self.0;
        let span = debug_span!("plain_session.revoke");
        let revoked = store.revoke(layout, id).instrument(span).await?;
        counter!("mainstay_sessions_revoked_total").increment(u64::from(revoked));
        Ok(revoked)
    }

    /// Ends all sessions of a user, whoever has created them; how many there were.
    ///
    /// Every session that was there before is invalid after it. Takes a few round trips for every 500
    /// sessions. A dropped or failed call has ended some and left the others listed: repeat it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user's id as for [`create`](Self::create);
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer, or there were more sessions than the command timeout was enough
    /// for.
    pub async fn revoke_all(&self, user_id: &str) -> Result<u64> {
        check_id("user id", user_id)?;
        let Inner { store, layout, .. } = &*self.0;
        let span = debug_span!("plain_session.revoke_all");
        let revoked = store.revoke_all(layout, user_id).instrument(span).await?;
        counter!("mainstay_sessions_revoked_total").increment(revoked);
        Ok(revoked)
    }

    /// The user's valid sessions, at most 1,000, those first that end last. Which ones, when there are
    /// more, is not said. Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a user's id as for [`create`](Self::create);
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when one of them is not the recipe's;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer.
    pub async fn list(&self, user_id: &str) -> Result<Vec<PlainSession>> {
        check_id("user id", user_id)?;
        let Inner { store, layout, .. } = &*self.0;
        let listing = store.list(layout, user_id, LISTED_MAX);
        listing.instrument(debug_span!("plain_session.list")).await
    }
}

impl fmt::Debug for PlainSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainSessions")
            .field("layout", &self.0.layout)
            .field("ttl", &self.0.ttl)
            .finish_non_exhaustive()
    }
}
