//! `/v1/users/{user}/sessions`: where a user is logged in.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::middleware::map_response;
use axum::routing::{delete, get};
use axum::{Json, Router};
use mainstay::session::ListedSession;
use serde_json::{Value, json};

use super::sessions::{device, no_store};
use crate::app::App;
use crate::extract::{Query, segment};
use crate::problem::{Problem, millis};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/users/{user}/sessions", get(list).delete(end_all))
        .route("/v1/users/{user}/sessions/{id_hash}", delete(end_one))
        .layer(map_response(no_store))
}

async fn list(State(app): State<App>, uri: Uri) -> Result<Json<Value>, Problem> {
    let limit = Query::of(&uri, &["limit"])?.limit()?;
    let listed = app.sessions.list_up_to(&segment(&uri, 2)?, limit).await?;
    let sessions: Vec<Value> = listed.iter().map(described).collect();
    Ok(Json(json!({ "sessions": sessions })))
}

fn described(listed: &ListedSession) -> Value {
    let record = &listed.record;
    json!({
        "id_hash": listed.id_hash,
        "device": device(&record.device),
        "age_ms": millis(record.age),
        "authenticated_for_ms": millis(record.authenticated_for),
        "idle_for_ms": millis(record.idle_for),
        "expires_in_ms": millis(record.expires_in),
        "absolute_in_ms": millis(record.absolute_in),
    })
}

async fn end_all(State(app): State<App>, uri: Uri) -> Result<StatusCode, Problem> {
    Query::of(&uri, &[])?;
    app.sessions.revoke_all(&segment(&uri, 2)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end_one(State(app): State<App>, uri: Uri) -> Result<StatusCode, Problem> {
    Query::of(&uri, &[])?;
    let (user, id_hash) = (segment(&uri, 2)?, segment(&uri, 4)?);
    if app.sessions.revoke_listed(&user, &id_hash).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(
        "no_such_session",
        "the user has no such session: GET the user's sessions lists those there are",
    ))
}
