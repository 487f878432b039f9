//! mainstay: signed tokens, times as they are by default.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mainstay::Mainstay;
use mainstay::http::session::{CurrentSession, RequireSession, SessionLayer, SessionRejection};
use serde::Serialize;

use crate::Outcome;
use crate::scenario::session::profile::Claims;

/// As a [`Profile`](super::Profile), of what the session has.
#[derive(Serialize)]
struct Seen<'a> {
    user: &'a str,
    #[serde(flatten)]
    claims: &'a Claims,
}

pub(super) async fn router(url: &str) -> Outcome<Router> {
    let stay = Mainstay::connect(url).await?;
    let sessions = stay
        .sessions::<Claims>()
        .secret("a key of a benchmark for users")
        .signed_by(["a key of a benchmark for signatures"])
        .build()?;
    Ok(Router::new()
        .route("/log-in/{user}", post(log_in))
        .route("/me", get(me))
        .layer(SessionLayer::new(sessions)))
}

async fn log_in(
    Path(user): Path<String>,
    mut session: CurrentSession<Claims>,
) -> Result<(), SessionRejection> {
    session.log_in(&user, &Claims::usual()).await
}

async fn me(session: RequireSession<Claims>) -> Response {
    let seen = session.user().zip(session.data());
    let seen = seen.map(|(user, claims)| Seen { user, claims });
    Json(seen).into_response()
}
