//! Makes sessions.

use std::fmt;
use std::time::Duration;

use metrics::counter;
use tracing::{Instrument, debug_span};

use super::handle::{Lifetimes, Sessions};
use super::id::UserTag;
use super::record::LoggedIn;
use super::{Issued, SessionId, fields};
use crate::backend::{Admission, Device, Fields, NewSession};
use crate::error::{Error, ErrorKind, Result};
use crate::random;

/// A session that is about to be made; by [`Sessions::log_in`] and [`Sessions::begin`].
#[must_use = "nothing happens before `create`"]
pub struct LogIn<'a, T> {
    sessions: &'a Sessions<T>,
    user: Option<&'a str>,
    data: &'a T,
    device: Device,
    idle: Option<Duration>,
    absolute: Option<Duration>,
    replaced: Option<&'a SessionId>,
}

impl<T> Sessions<T> {
    /// Starts a log-in, with more to say than [`create`](Self::create) takes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::session::{Device, LoggedIn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let sessions = mainstay::Mainstay::memory().sessions::<()>().build()?;
    /// let log_in = sessions.log_in("ada", &()).idle(Duration::from_mins(1));
    /// let device = Device::new().with_user_agent("curl/8.5");
    /// let LoggedIn::Issued(issued) = log_in.device(device).create().await? else {
    ///     panic!("there is no limit to her sessions");
    /// };
    /// assert_eq!(issued.expires_in, Duration::from_mins(1));
    /// let listed = sessions.list("ada").await?;
    /// assert_eq!(listed[0].record.device.user_agent.as_deref(), Some("curl/8.5"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_in<'a>(&'a self, user: &'a str, data: &'a T) -> LogIn<'a, T> {
        LogIn::new(self, Some(user), data)
    }

    /// Starts a session of nobody, for what a visitor does before log-in. It is in no listing.
    pub fn begin<'a>(&'a self, data: &'a T) -> LogIn<'a, T> {
        LogIn::new(self, None, data)
    }

    /// Creates a session with the configured lifetimes. Every log-in gets a new id.
    ///
    /// Not cancel safe: a dropped call may leave a session that nobody has the id of; it dies
    /// after its idle time.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a user that is no [`Key`](crate::Key), and for more data than
    /// is allowed; [`Codec`](ErrorKind::Codec) for data that cannot be encoded;
    /// [`Refused`](ErrorKind::Refused) when the user has as many sessions as are allowed, which
    /// [`log_in`](Self::log_in) tells as a value; [`Unavailable`](ErrorKind::Unavailable) or
    /// [`Unknown`](ErrorKind::Unknown) when the backend does not answer: the caller is then not logged in.
    pub async fn create(&self, user: &str, data: &T) -> Result<Issued> {
        match self.log_in(user, data).create().await? {
            LoggedIn::Issued(issued) => Ok(issued),
            LoggedIn::Full => Err(Error::new(
                ErrorKind::Refused,
                "the user has as many sessions as are allowed",
            )),
        }
    }
}

impl<'a, T> LogIn<'a, T> {
    fn new(sessions: &'a Sessions<T>, user: Option<&'a str>, data: &'a T) -> Self {
        Self {
            sessions,
            user,
            data,
            device: Device::default(),
            idle: None,
            absolute: None,
            replaced: None,
        }
    }

    /// Where the session is used from, for its user to see.
    pub fn device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// It dies after this long without activity, in place of what is configured.
    pub fn idle(self, idle: Duration) -> Self {
        let idle = Some(idle);
        Self { idle, ..self }
    }

    /// It dies after this long in any case, in place of what is configured.
    pub fn absolute(self, absolute: Duration) -> Self {
        let absolute = Some(absolute);
        Self { absolute, ..self }
    }

    /// The session that the client has had so far, which ends as soon as there is the new one: what an
    /// id was good for before a log-in, it is not good for after it.
    pub fn in_place_of(self, id: &'a SessionId) -> Self {
        let replaced = Some(id);
        Self { replaced, ..self }
    }

    /// Creates the session.
    ///
    /// Cancel safety and errors as [`create`](Sessions::create); [`Invalid`](ErrorKind::Invalid) as well
    /// when a time is no [`Ttl`](crate::Ttl) or the idle time is longer than the absolute one. When the
    /// session before it could not be ended the call fails, and nobody has the new id.
    pub async fn create(self) -> Result<LoggedIn> {
        let span = debug_span!("session.create", is_logged_in = self.user.is_some());
        self.run().instrument(span).await
    }

    async fn run(self) -> Result<LoggedIn> {
        let sessions = self.sessions;
        let terms = sessions.terms();
        let lifetimes = terms.lifetimes.with(self.idle, self.absolute)?;
        let tag = match self.user {
            Some(user) => sessions.tag(user)?,
            None => UserTag::random(),
        };
        let data = sessions.split(self.data)?;
        fields::check_size(&Fields::new(), &data, terms.max_data_bytes)?;
        // One of the same user ends in the same step, and makes room.
        let replaced_here = self.replaced.filter(|it| it.tag() == tag);
        let id = SessionId::random(&tag);
        let session = NewSession {
            user: self.user,
            data,
            device: self.device,
            seed: random::token(),
            idle: lifetimes.idle,
            absolute: lifetimes.absolute,
            cap: terms.cap,
            replaces: replaced_here.map(SessionId::hash),
        };
        let keys = sessions.keys(&tag, id.hash());
        match sessions.store().create(&keys, &session).await? {
            Admission::Created { ended } => {
                counter!("mainstay_sessions_created_total").increment(1);
                counter!("mainstay_sessions_revoked_total").increment(ended);
            }
            Admission::Full => {
                counter!("mainstay_sessions_refused_total").increment(1);
                return Ok(LoggedIn::Full);
            }
        }
        if let Some(replaced) = self.replaced
            && let Err(error) = sessions.revoke(replaced).await
        {
            // Nobody gets the new id. If that cannot be ended either, it ends by its idle time.
            let _orphan = sessions.revoke(&id).await;
            return Err(error);
        }
        Ok(LoggedIn::Issued(Issued {
            id,
            expires_in: lifetimes.idle.as_duration(),
            absolute_in: lifetimes.absolute.as_duration(),
        }))
    }
}

impl<T> fmt::Debug for LogIn<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogIn")
            .field("device", &self.device)
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .finish_non_exhaustive()
    }
}

impl Lifetimes {
    /// The same with others in their place. A shorter absolute time alone shortens the idle time too.
    fn with(self, idle: Option<Duration>, absolute: Option<Duration>) -> Result<Self> {
        let to_the_end = absolute.unwrap_or(self.absolute.as_duration());
        let usual = self.idle.as_duration().min(to_the_end);
        Self::new(idle.unwrap_or(usual), to_the_end)
    }
}
