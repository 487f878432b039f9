//! The session of one request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use metrics::counter;

use super::SessionRejection;
use super::visit::{Present, Via, Visit};
use crate::session::{Issued, LoggedIn, Renewed, Session, SessionId};

/// The session of the request that is served, if there is one, and what can become of it.
///
/// Each call is done when it returns, in the store; what the client's cookie is to be follows with the
/// response. A call that cannot be done tells why as a [`SessionRejection`], which handlers may return: the
/// response is then a problem document, and never one that looks as if the change had been made.
///
/// The data of a valid session is what it was when the request first asked, and what was changed through
/// this handle since.
#[derive(Clone)]
pub struct CurrentSession<T> {
    visit: Arc<Visit<T>>,
    present: Option<Present<T>>,
}

impl<T: Clone + Send + Sync + 'static> CurrentSession<T> {
    /// The session of the request with these extensions, for services that are no axum handlers.
    ///
    /// # Errors
    /// [`NoLayer`](SessionRejection::NoLayer) without a [`SessionLayer`](super::SessionLayer) of this type of data;
    /// [`Failed`](SessionRejection::Failed) when the store does not answer: that is no reason to treat
    /// anybody as logged out.
    pub async fn of(extensions: &Extensions) -> Result<Self, SessionRejection> {
        let visit = extensions.get::<Arc<Visit<T>>>();
        let visit = Arc::clone(visit.ok_or(SessionRejection::NoLayer)?);
        let present = visit.present().await?;
        Ok(Self { visit, present })
    }

    /// The session, if it is valid.
    pub fn session(&self) -> Option<&Session<T>> {
        self.present.as_ref().map(|present| &*present.session)
    }

    /// Who is logged in.
    pub fn user(&self) -> Option<&str> {
        self.session()?.user.as_deref()
    }

    /// The session's data.
    pub fn data(&self) -> Option<&T> {
        self.session().map(|session| &session.data)
    }

    /// The text by which a client without cookies shows the session, as a bearer token.
    pub fn token(&self) -> Option<String> {
        let present = self.present.as_ref()?;
        Some(self.visit.terms().sessions.token(&present.id))
    }

    /// Logs a user in, with a new id; the session before, if any, ends.
    ///
    /// Not cancel safe, as [`create`](crate::session::LogIn::create).
    ///
    /// # Errors
    /// [`TooMany`](SessionRejection::TooMany); [`Failed`](SessionRejection::Failed).
    pub async fn log_in(&mut self, user: &str, data: &T) -> Result<(), SessionRejection> {
        self.start(Some(user), data).await
    }

    /// Begins a session of nobody, for what a visitor does before log-in. Nothing happens when there is
    /// a session already.
    ///
    /// # Errors
    /// [`Failed`](SessionRejection::Failed).
    pub async fn begin(&mut self, data: &T) -> Result<(), SessionRejection> {
        match self.present {
            Some(_) => Ok(()),
            None => self.start(None, data).await,
        }
    }

    async fn start(&mut self, user: Option<&str>, data: &T) -> Result<(), SessionRejection> {
        let sessions = &self.visit.terms().sessions;
        let log_in = match user {
            Some(user) => sessions.log_in(user, data),
            None => sessions.begin(data),
        };
        let mut log_in = log_in.device(self.visit.device());
        if let Some(before) = &self.present {
            log_in = log_in.in_place_of(&before.id);
        }
        match log_in.create().await? {
            LoggedIn::Issued(issued) => self.go_on_as(issued).await,
            LoggedIn::Full => Err(SessionRejection::TooMany),
        }
    }

    /// Ends the session, and tells the browser to forget the cookie and what it has cached and stored.
    ///
    /// # Errors
    /// [`Failed`](SessionRejection::Failed): the session may still be valid.
    pub async fn log_out(&mut self) -> Result<(), SessionRejection> {
        if let Some(present) = &self.present {
            self.visit.terms().sessions.revoke(&present.id).await?;
        }
        self.forget().await;
        Ok(())
    }

    /// Ends all sessions of the user, this one as well; how many.
    ///
    /// # Errors
    /// [`Required`](SessionRejection::Required) when nobody is logged in; [`Failed`](SessionRejection::Failed).
    pub async fn log_out_everywhere(&mut self) -> Result<u64, SessionRejection> {
        let user = self.user().ok_or(SessionRejection::Required)?;
        let sessions = &self.visit.terms().sessions;
        let ended = sessions.revoke_all(user).await?;
        // One that was made under another secret is of another tag.
        let id = &self.logged_in()?.id;
        sessions.revoke(id).await?;
        self.forget().await;
        Ok(ended)
    }

    /// Ends all other sessions of the user; how many.
    ///
    /// # Errors
    /// [`Required`](SessionRejection::Required) when nobody is logged in; [`Ended`](SessionRejection::Ended);
    /// [`Failed`](SessionRejection::Failed).
    pub async fn log_out_elsewhere(&mut self) -> Result<u64, SessionRejection> {
        let id = &self.logged_in()?.id;
        let ended = self.visit.terms().sessions.revoke_others(id).await?;
        ended.ok_or(SessionRejection::Ended)
    }

    /// Changes the session's data, and tells what the closure does: see
    /// [`update`](crate::session::Sessions::update). Other requests' changes of other keys are kept, and
    /// the closure is called again when one has changed the same.
    ///
    /// # Errors
    /// [`Required`](SessionRejection::Required) when there is no session;
    /// [`Ended`](SessionRejection::Ended) when it has ended since this request began: nothing is stored, and
    /// nothing comes to life again; [`Failed`](SessionRejection::Failed).
    pub async fn update<R>(
        &mut self,
        change: impl FnMut(&mut T) -> R,
    ) -> Result<R, SessionRejection> {
        let present = self.present.as_mut().ok_or(SessionRejection::Required)?;
        let sessions = &self.visit.terms().sessions;
        let session = Arc::make_mut(&mut present.session);
        let updated = sessions.update_loaded(session, change).await?;
        let result = updated.ok_or(SessionRejection::Ended)?;
        self.visit.know(self.present.clone()).await;
        Ok(result)
    }

    /// Gives the session another id than the request has shown: see
    /// [`rotate`](crate::session::Sessions::rotate). Requests that are on their way with the old one go on,
    /// and those that rotate it as well get the same new one.
    ///
    /// # Errors
    /// [`Required`](SessionRejection::Required), [`Ended`](SessionRejection::Ended),
    /// [`Elsewhere`](SessionRejection::Elsewhere), [`Failed`](SessionRejection::Failed).
    pub async fn rotate(&mut self) -> Result<(), SessionRejection> {
        let present = self.present.as_ref().ok_or(SessionRejection::Required)?;
        let asked = present.asked.clone();
        match self.visit.terms().sessions.rotate(&asked).await? {
            Renewed::Issued(_) => {
                self.visit.tell_renewed(asked.clone());
                self.load(asked).await
            }
            Renewed::Elsewhere => Err(SessionRejection::Elsewhere),
            Renewed::Ended => Err(SessionRejection::Ended),
        }
    }

    /// The user has authenticated again, as by a second factor: the session gets a new id, and
    /// [`authenticated_within`](Self::authenticated_within) holds.
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate).
    pub async fn authenticate_again(&mut self) -> Result<(), SessionRejection> {
        let id = &self.logged_in()?.id;
        match self.visit.terms().sessions.authenticate_again(id).await? {
            Renewed::Issued(issued) => self.go_on_as(issued).await,
            Renewed::Elsewhere => Err(SessionRejection::Elsewhere),
            Renewed::Ended => Err(SessionRejection::Ended),
        }
    }

    /// Refuses a request whose user authenticated longer ago than `most`, for what needs a fresh
    /// password or second factor.
    ///
    /// # Errors
    /// [`Required`](SessionRejection::Required) when nobody is logged in;
    /// [`AuthenticationTooOld`](SessionRejection::AuthenticationTooOld).
    pub fn authenticated_within(&self, most: Duration) -> Result<(), SessionRejection> {
        if self.logged_in()?.session.authenticated_for > most {
            return Err(SessionRejection::AuthenticationTooOld);
        }
        Ok(())
    }

    /// A token for the forms of this session: see [`csrf_token`](Session::csrf_token). `None` without a session.
    pub fn csrf_token(&self) -> Option<String> {
        self.session().map(Session::csrf_token)
    }

    /// Refuses a request that another site may have made its user's browser send: one by cookie whose
    /// token is not of this session. A bearer token needs none, since no browser adds it by itself.
    ///
    /// # Errors
    /// [`Forged`](SessionRejection::Forged).
    pub fn check_csrf(&self, token: Option<&str>) -> Result<(), SessionRejection> {
        if self.visit.via() == Via::Bearer {
            return Ok(());
        }
        let is_own = self
            .session()
            .zip(token)
            .is_some_and(|(session, token)| session.is_csrf_token(token));
        if !is_own {
            counter!("mainstay_session_csrf_refused_total").increment(1);
            return Err(SessionRejection::Forged);
        }
        Ok(())
    }

    fn logged_in(&self) -> Result<&Present<T>, SessionRejection> {
        let present = self.present.as_ref();
        let logged_in = present.filter(|present| present.session.user.is_some());
        logged_in.ok_or(SessionRejection::Required)
    }

    async fn go_on_as(&mut self, issued: Issued) -> Result<(), SessionRejection> {
        self.load(issued.id.clone()).await?;
        self.visit.tell_issued(issued.id);
        Ok(())
    }

    async fn load(&mut self, id: SessionId) -> Result<(), SessionRejection> {
        let session = self.visit.terms().sessions.load(&id).await?;
        let session = session.ok_or(SessionRejection::Ended)?;
        self.present = Some(Present::new(id, session));
        self.visit.know(self.present.clone()).await;
        Ok(())
    }

    async fn forget(&mut self) {
        self.present = None;
        self.visit.know(None).await;
        self.visit.tell_removed();
        self.visit.tell_to_clear_data();
    }
}

impl<T> fmt::Debug for CurrentSession<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.present.as_ref().map(|present| &*present.session);
        f.debug_struct("CurrentSession")
            .field("user", &session.and_then(|session| session.user.as_deref()))
            .finish_non_exhaustive()
    }
}
