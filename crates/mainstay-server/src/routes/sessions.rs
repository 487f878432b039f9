//! `/v1/sessions`: create one, and read or end the caller's own.

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use mainstay::session::{LoggedIn, SessionId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::extract::{JsonBody, Query, duration};
use crate::problem::{Problem, millis};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/sessions", post(create))
        .route("/v1/sessions/current", get(current).delete(end))
        .layer(map_response(no_store))
}

/// Keeps what says who is logged in out of every cache on the way.
pub(super) async fn no_store(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSession {
    user: String,
    #[serde(default)]
    data: Value,
    idle: Option<Value>,
    absolute: Option<Value>,
}

async fn create(
    State(app): State<App>,
    uri: Uri,
    JsonBody(new): JsonBody<NewSession>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    Query::of(&uri, &[])?;
    let absolute = match &new.absolute {
        None => app.config.session_absolute,
        Some(value) => duration("absolute", value)?,
    };
    let idle = match &new.idle {
        None => app.config.session_idle.min(absolute),
        Some(value) => duration("idle", value)?,
    };
    let log_in = app.sessions.log_in(&new.user, &new.data);
    let LoggedIn::Issued(issued) = log_in.idle(idle).absolute(absolute).create().await? else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "too_many_sessions",
            "The user has too many sessions",
            "the user has as many sessions as are allowed: end one first",
        ));
    };
    let answer = json!({
        "id": issued.id.expose(),
        "user": new.user,
        "expires_in_ms": millis(issued.expires_in),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn current(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    Query::of(&uri, &[])?;
    let id = bearer(&headers)?;
    let session = app.sessions.load(&id).await?.ok_or_else(not_valid)?;
    Ok(Json(json!({
        "user": session.user,
        "data": session.data,
        "age_ms": millis(session.age),
        "idle_for_ms": millis(session.idle_for),
        "expires_in_ms": millis(session.expires_in),
        "absolute_in_ms": millis(session.absolute_in),
    })))
}

async fn end(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<StatusCode, Problem> {
    Query::of(&uri, &[])?;
    let id = bearer(&headers)?;
    if app.sessions.revoke(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_valid())
    }
}

/// The session's id in `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Result<SessionId, Problem> {
    let header = headers.get(AUTHORIZATION).ok_or_else(|| {
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
        .and_then(|(_, id)| id.trim_start_matches(' ').parse().ok())
        .ok_or_else(not_valid)
}

/// One answer for every id that does not work: it tells nothing about which exist.
fn not_valid() -> Problem {
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
