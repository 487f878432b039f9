//! `POST /v1/locks/{name}:acquire`, `:renew` and `:release`: leases with a fence.

mod seen;

use std::time::Duration;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::HeaderName;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mainstay::lock::{LeaseAttempt, LockLease, Release};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::no_verb;
use crate::app::App;
use crate::extract::{JsonBody, Query, duration, verb};
use crate::middleware::{RouteLabel, within};
use crate::problem::{Problem, millis, millis_up};

const DEFAULT_TTL: Duration = Duration::from_secs(30);
const MAX_WAIT: Duration = Duration::from_secs(60);
/// A lock may be released long before its lease ends: it is worth asking again by then.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);
const VERBS: &str = ":acquire, :renew, :release, :break";
const FENCE_HEADER: HeaderName = HeaderName::from_static("mainstay-fence");

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/locks", get(seen::list))
        .route("/v1/locks/{name_and_verb}", get(seen::show).post(act))
}

async fn act(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    Query::of(&uri, &[])?;
    let Some((name, verb)) = verb(&uri, 2)? else {
        return Err(no_verb(VERBS));
    };
    let (label, answer) = match verb {
        "acquire" => (
            "/v1/locks/{name}:acquire",
            acquire(&app, &name, request).await,
        ),
        "renew" => ("/v1/locks/{name}:renew", renew(&app, &name, request).await),
        "release" => (
            "/v1/locks/{name}:release",
            release(&app, &name, request).await,
        ),
        "break" => (
            "/v1/locks/{name}:break",
            seen::break_hold(&app, &name, request).await,
        ),
        _ => return Err(no_verb(VERBS)),
    };
    let mut response = answer.into_response();
    response.extensions_mut().insert(RouteLabel(label));
    Ok(response)
}

async fn body<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    let JsonBody(body) =
        within(app.request_timeout(), JsonBody::from_request(request, app)).await??;
    Ok(body)
}

fn ttl_or_default(value: Option<&Value>) -> Result<Duration, Problem> {
    value.map_or(Ok(DEFAULT_TTL), |value| duration("ttl", value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acquire {
    ttl: Option<Value>,
    wait: Option<Value>,
}

async fn acquire(app: &App, name: &str, request: Request) -> Result<Response, Problem> {
    let asked: Acquire = body(app, request).await?;
    let ttl = ttl_or_default(asked.ttl.as_ref())?;
    let wait = match &asked.wait {
        None => Duration::ZERO,
        Some(value) => duration("wait", value)?,
    };
    if wait > MAX_WAIT {
        return Err(Problem::invalid("\"wait\" is longer than 60s"));
    }
    let lock = app.stay.lock(name).ttl(ttl).build()?;
    let leased = tokio::select! {
        leased = within(wait + app.request_timeout(), lock.lease(wait)) => leased??,
        () = app.closing.cancelled() => return Err(Problem::shutting_down()),
    };
    match leased {
        LeaseAttempt::Leased(lease) => {
            let answer = json!({
                "token": lease.token,
                "fence": lease.fence.get(),
                "expires_in_ms": millis(lease.expires_in),
            });
            Ok(fenced(&lease, answer))
        }
        LeaseAttempt::Held { left, holder, .. } => {
            let after = left.map_or(MAX_RETRY_AFTER, |left| left.min(MAX_RETRY_AFTER));
            let problem = Problem::new(
                StatusCode::LOCKED,
                "lock_held",
                "The lock is held by another",
                "ask again after retry_after_ms, or give a longer \"wait\"",
            )
            .retry_after(after)
            .field("holder", holder)
            .field("left_ms", left.map(millis_up));
            Err(problem)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renew {
    token: String,
    ttl: Option<Value>,
}

async fn renew(app: &App, name: &str, request: Request) -> Result<Response, Problem> {
    let asked: Renew = body(app, request).await?;
    let ttl = ttl_or_default(asked.ttl.as_ref())?;
    let lock = app.stay.lock(name).ttl(ttl).build()?;
    let lease = within(app.request_timeout(), lock.renew(&asked.token))
        .await??
        .ok_or_else(not_held)?;
    let answer = json!({
        "fence": lease.fence.get(),
        "expires_in_ms": millis(lease.expires_in),
    });
    Ok(fenced(&lease, answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    token: String,
}

async fn release(app: &App, name: &str, request: Request) -> Result<Response, Problem> {
    let asked: Token = body(app, request).await?;
    let lock = app.stay.lock(name).build()?;
    match within(app.request_timeout(), lock.release(&asked.token)).await?? {
        Release::Released => Ok(StatusCode::NO_CONTENT.into_response()),
        Release::NotHeld => Err(not_held()),
    }
}

fn fenced(lease: &LockLease, answer: Value) -> Response {
    let fence = lease.fence.get().to_string();
    ([(FENCE_HEADER, fence)], Json(answer)).into_response()
}

fn not_held() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "lock_not_held",
        "The lock is not held with this token",
        "the lease has ended, or the token is of another lease: stop what the lock protects",
    )
}
