//! `POST /v1/sessions/current:rotate` and `:authenticate-again`: another id for the caller's session.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mainstay::session::Renewed;
use serde_json::{Value, json};

use super::bearer::{Bearer, not_valid};
use crate::app::App;
use crate::problem::{Problem, millis};

pub(super) async fn rotate(
    State(app): State<App>,
    Bearer(id): Bearer,
) -> Result<Json<Value>, Problem> {
    answer(&app, app.sessions.rotate(&id).await?)
}

pub(super) async fn authenticate_again(
    State(app): State<App>,
    Bearer(id): Bearer,
) -> Result<Json<Value>, Problem> {
    answer(&app, app.sessions.authenticate_again(&id).await?)
}

fn answer(app: &App, renewed: Renewed) -> Result<Json<Value>, Problem> {
    match renewed {
        Renewed::Issued(issued) => Ok(Json(json!({
            "id": app.sessions.token(&issued.id),
            "expires_in_ms": millis(issued.expires_in),
            "absolute_in_ms": millis(issued.absolute_in),
        }))),
        Renewed::Elsewhere => Err(Problem::new(
            StatusCode::CONFLICT,
            "session_renewed_elsewhere",
            "The session has another id",
            "its user has authenticated again, and only who did so has the new id: \
             this one works until its grace is over",
        )),
        Renewed::Ended => Err(not_valid()),
    }
}
