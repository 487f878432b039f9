//! `/v1/sessions/current`: the caller's session, its data, and its end.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::bearer::{Bearer, not_valid};
use super::device;
use crate::app::App;
use crate::extract::{MergePatch, NotAnObject};
use crate::problem::{Problem, millis};

pub(super) async fn read(
    State(app): State<App>,
    Bearer(id): Bearer,
) -> Result<Json<Value>, Problem> {
    let session = app.sessions.load(&id).await?.ok_or_else(not_valid)?;
    let renewed = session.renewed.as_ref();
    Ok(Json(json!({
        "user": session.user,
        "data": session.data,
        "id_hash": session.id_hash(),
        "device": device(&session.device),
        "renewed": renewed.map(|id| app.sessions.token(id)),
        "age_ms": millis(session.age),
        "authenticated_for_ms": millis(session.authenticated_for),
        "idle_for_ms": millis(session.idle_for),
        "expires_in_ms": millis(session.expires_in),
        "absolute_in_ms": millis(session.absolute_in),
    })))
}

/// `PATCH`: changes the data key by key, so that what others change meanwhile stays.
pub(super) async fn change(
    State(app): State<App>,
    Bearer(id): Bearer,
    patch: Result<MergePatch, Problem>,
) -> Result<Json<Value>, Problem> {
    let patch = patch?;
    let changed = app.sessions.update(&id, |data| {
        patch.apply(data)?;
        Ok(data.clone())
    });
    let data = changed.await?.ok_or_else(not_valid)?;
    data.map(Json).map_err(|NotAnObject(what)| {
        Problem::new(
            StatusCode::CONFLICT,
            "data_is_no_object",
            "The session's data has no keys",
            format!("the session's data is {what}: only an object can be changed key by key"),
        )
    })
}

pub(super) async fn end(State(app): State<App>, Bearer(id): Bearer) -> Result<StatusCode, Problem> {
    if app.sessions.revoke(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_valid())
    }
}

/// `POST ..:revoke-others`: logs the user out everywhere else.
pub(super) async fn revoke_others(
    State(app): State<App>,
    Bearer(id): Bearer,
) -> Result<Json<Value>, Problem> {
    let revoked = app.sessions.revoke_others(&id).await?;
    let revoked = revoked.ok_or_else(not_valid)?;
    Ok(Json(json!({ "revoked": revoked })))
}
