//! `/v1/users/{user}/sessions`: where a user is logged in.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::middleware::map_response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::sessions::no_store;
use crate::app::App;
use crate::extract::{Query, segment};
use crate::problem::{Problem, millis};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/users/{user}/sessions", get(list).delete(end_all))
        .layer(map_response(no_store))
}

async fn list(State(app): State<App>, uri: Uri) -> Result<Json<Value>, Problem> {
    Query::of(&uri, &[])?;
    let sessions: Vec<Value> = app
        .sessions
        .list(&segment(&uri, 2)?)
        .await?
        .into_iter()
        .map(|listed| {
            json!({
                "id_hash": listed.id_hash,
                "age_ms": millis(listed.record.age),
                "idle_for_ms": millis(listed.record.idle_for),
                "expires_in_ms": millis(listed.record.expires_in),
                "absolute_in_ms": millis(listed.record.absolute_in),
            })
        })
        .collect();
    Ok(Json(json!({ "sessions": sessions })))
}

async fn end_all(State(app): State<App>, uri: Uri) -> Result<StatusCode, Problem> {
    Query::of(&uri, &[])?;
    app.sessions.revoke_all(&segment(&uri, 2)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
