//! Extractors of axum.

use std::fmt;
use std::ops::{Deref, DerefMut};

use axum::body::Body;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use super::{CurrentSession, SessionRejection};

/// The session of a request whose user is logged in; all others get `401 Unauthorized`.
#[derive(Clone)]
pub struct RequireSession<T>(pub CurrentSession<T>);

impl<T> Deref for RequireSession<T> {
    type Target = CurrentSession<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for RequireSession<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> fmt::Debug for RequireSession<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequireSession").field(&self.0).finish()
    }
}

impl<S: Sync, T: Clone + Send + Sync + 'static> FromRequestParts<S> for CurrentSession<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, SessionRejection> {
        Self::of(&parts.extensions).await
    }
}

/// `None` without a valid session; a store that does not answer is no reason for that.
impl<S: Sync, T: Clone + Send + Sync + 'static> OptionalFromRequestParts<S> for CurrentSession<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, SessionRejection> {
        let current = Self::of(&parts.extensions).await?;
        Ok(current.session().is_some().then_some(current))
    }
}

impl<S: Sync, T: Clone + Send + Sync + 'static> FromRequestParts<S> for RequireSession<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, SessionRejection> {
        let current = CurrentSession::of(&parts.extensions).await?;
        match current.user() {
            Some(_) => Ok(Self(current)),
            None => Err(SessionRejection::Required),
        }
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        self.response::<Body>()
    }
}
