//! The caller's session, as `Authorization: Bearer` names it.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use mainstay::session::SessionId;

use crate::app::App;
use crate::extract::Query;
use crate::problem::Problem;

/// The id in the token, of a request without parameters.
pub(super) struct Bearer(pub(super) SessionId);

impl FromRequestParts<App> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(request: &mut Parts, app: &App) -> Result<Self, Problem> {
        Query::of(&request.uri, &[])?;
        let header = request.headers.get(AUTHORIZATION).ok_or_else(|| {
            unauthorized(
                "session_required",
                "send the session's id in the header Authorization: Bearer",
                "Bearer",
            )
        })?;
        header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| app.sessions.open_token(token.trim_start_matches(' ')).ok())
            .map(Self)
            .ok_or_else(not_valid)
    }
}

/// One answer for every id that does not work: it tells nothing about which exist.
pub(super) fn not_valid() -> Problem {
    unauthorized(
        "session_not_valid",
        "there is no such session: it was ended, has expired or never was",
        "Bearer error=\"invalid_token\"",
    )
}

fn unauthorized(code: &'static str, detail: &'static str, challenge: &'static str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        code,
        "A valid session is required",
        detail,
    )
    .header(WWW_AUTHENTICATE, challenge)
}
