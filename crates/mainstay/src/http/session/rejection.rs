//! Why a request is refused, as its client is told (RFC 9457).

use std::error::Error as StdError;
use std::fmt;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use crate::error::{Error, ErrorKind};

/// Why what a request asked of its session cannot be done. With the feature `axum` it is a response by
/// itself, so that handlers may use `?`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionRejection {
    /// `401`: nobody is logged in.
    Required,
    /// `401`: the session was valid and has ended meanwhile, as by a log-out elsewhere.
    Ended,
    /// `401`: the user authenticated too long ago for this (RFC 9470).
    AuthenticationTooOld,
    /// `403`: the CSRF token is missing or not of this session.
    Forged,
    /// `409`: the user has as many sessions as are allowed.
    TooMany,
    /// `409`: the session got another id by a log-in elsewhere.
    Elsewhere,
    /// `503` when the store does not answer; `400` for data that it cannot take; `500` for data in it
    /// that nobody can read.
    Failed(Error),
    /// `500`: the service stands behind no [`SessionLayer`](super::SessionLayer) of this type of data.
    NoLayer,
}

impl SessionRejection {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Required | Self::Ended | Self::AuthenticationTooOld => StatusCode::UNAUTHORIZED,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::TooMany | Self::Elsewhere => StatusCode::CONFLICT,
            Self::Failed(error) => match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Unknown | ErrorKind::Refused => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                ErrorKind::Unsupported
                | ErrorKind::Codec
                | ErrorKind::Loader
                | ErrorKind::Corrupt => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::NoLayer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Names the reason for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Required => "session_required",
            Self::Ended => "session_ended",
            Self::AuthenticationTooOld => "authentication_too_old",
            Self::Forged => "csrf_token_not_valid",
            Self::TooMany => "too_many_sessions",
            Self::Elsewhere => "session_renewed_elsewhere",
            Self::Failed(error) => match error.kind() {
                ErrorKind::Invalid => "invalid_input",
                _ => "sessions_unavailable",
            },
            Self::NoLayer => "no_session_layer",
        }
    }

    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Required => Some("Bearer"),
            Self::Ended => Some("Bearer error=\"invalid_token\""),
            Self::AuthenticationTooOld => Some("Bearer error=\"insufficient_user_authentication\""),
            _ => None,
        }
    }

    /// The response: a problem document.
    pub fn response<B: From<String>>(&self) -> Response<B> {
        let status = self.status();
        // What went wrong inside is for the log.
        let detail = match self {
            Self::Failed(error) if error.kind() != ErrorKind::Invalid => {
                tracing::warn!(%error, "a request's session cannot be decided on");
                "sessions cannot be read or written now".to_owned()
            }
            reason => reason.to_string(),
        };
        let document = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": self.code(),
            "detail": detail,
        });
        let mut response = Response::new(B::from(document.to_string()));
        *response.status_mut() = status;
        let mut add = |name: HeaderName, value: &'static str| {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        };
        add(CONTENT_TYPE, "application/problem+json");
        if let Some(challenge) = self.challenge() {
            add(WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            add(RETRY_AFTER, "1");
        }
        response
    }
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "a valid session is required: log in",
            Self::Ended => "the session has ended meanwhile: log in again",
            Self::AuthenticationTooOld => "the log-in is too long ago for this: authenticate again",
            Self::Forged => "the CSRF token is missing or not of this session",
            Self::TooMany => "there are as many sessions as are allowed: end one first",
            Self::Elsewhere => "the session was renewed by another request: use its new id",
            Self::Failed(error) => return error.fmt(f),
            Self::NoLayer => "no session layer stands before this service",
        })
    }
}

impl StdError for SessionRejection {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for SessionRejection {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
