//! `/v1/queues/{queue}`: jobs for producers and workers in any language.

mod dead;
mod jobs;

use axum::extract::{FromRequest, Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay::queue::Queue;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::no_verb;
use crate::app::App;
use crate::extract::{JsonBody, Query, segment, verb};
use crate::middleware::RouteLabel;
use crate::problem::Problem;

const VERBS: &str = ":push, :take, :renew, :settle";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/queues/{name_and_verb}", get(show).post(act))
        .route(
            "/v1/queues/{queue}/{dead_and_verb}",
            get(dead::list).post(dead::act),
        )
}

/// The queue of that name; jobs that come from here are tried so often.
fn queue(app: &App, name: &str, attempts: Option<u32>) -> Result<Queue<Value>, Problem> {
    let mut queue = app.stay.queue(name);
    if let Some(attempts) = attempts {
        queue = queue.max_attempts(attempts);
    }
    Ok(queue.build()?)
}

async fn body<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    let JsonBody(body) = JsonBody::from_request(request, app).await?;
    Ok(body)
}

async fn show(State(app): State<App>, uri: Uri) -> Result<Json<Value>, Problem> {
    Query::of(&uri, &[])?;
    let stats = queue(&app, &segment(&uri, 2)?, None)?.stats().await?;
    Ok(Json(json!({
        "ready": stats.ready,
        "delayed": stats.delayed,
        "in_flight": stats.in_flight,
        "behind": stats.behind,
        "dead": stats.dead,
        "dead_dropped": stats.dead_dropped,
        "lost": stats.lost,
    })))
}

async fn act(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    Query::of(&uri, &[])?;
    let Some((name, verb)) = verb(&uri, 2)? else {
        return Err(no_verb(VERBS));
    };
    let (label, answer) = match verb {
        "push" => (
            "/v1/queues/{queue}:push",
            jobs::push(&app, &name, request).await,
        ),
        "take" => (
            "/v1/queues/{queue}:take",
            jobs::take(&app, &name, request).await,
        ),
        "renew" => (
            "/v1/queues/{queue}:renew",
            jobs::renew(&app, &name, request).await,
        ),
        "settle" => (
            "/v1/queues/{queue}:settle",
            jobs::settle(&app, &name, request).await,
        ),
        _ => return Err(no_verb(VERBS)),
    };
    let mut response = answer.map(Json).into_response();
    response.extensions_mut().insert(RouteLabel(label));
    Ok(response)
}

/// Puts a payload into an answer: as `data` if it is JSON, else as `payload_base64`.
fn with_payload(mut answer: Value, payload: &[u8]) -> Value {
    match serde_json::from_slice::<Value>(payload) {
        Ok(data) => answer["data"] = data,
        Err(_) => answer["payload_base64"] = STANDARD.encode(payload).into(),
    }
    answer
}
