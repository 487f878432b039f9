//! `POST /v1/cache/{cache}/{key}:acquire`, `:fill` and `:give-up`: one load a key, whoever loads.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::HeaderName;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use mainstay::cache::{Acquire, Cache, Fill, LoadLease};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::hit;
use super::entry_options;
use crate::app::App;
use crate::extract::{JsonBody, Query, duration, read, segment, verb};
use crate::middleware::RouteLabel;
use crate::problem::{Problem, millis, millis_up, seconds_up};
use crate::routes::no_verb;

const VERBS: &str = ":acquire, :fill, :give-up";
const DEFAULT_LEASE: Duration = Duration::from_secs(10);
const SHORTEST_LEASE: Duration = Duration::from_millis(100);
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// A load may end long before its lease does: it is worth asking again by then.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(1);
const LEASE: HeaderName = HeaderName::from_static("mainstay-lease");

pub(super) async fn act(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    let Some((key, verb)) = verb(&uri, 3)? else {
        return Err(no_verb(VERBS));
    };
    let cache = app.caches.get(&segment(&uri, 2)?)?;
    let (label, answer) = match verb {
        "acquire" => (
            "/v1/cache/{cache}/{key}:acquire",
            acquire(&app, &cache, &key, request).await,
        ),
        "fill" => (
            "/v1/cache/{cache}/{key}:fill",
            fill(&app, &cache, &key, request).await,
        ),
        "give-up" => (
            "/v1/cache/{cache}/{key}:give-up",
            give_up(&app, &cache, &key, request).await,
        ),
        _ => return Err(no_verb(VERBS)),
    };
    let mut response = answer.into_response();
    response.extensions_mut().insert(RouteLabel(label));
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    lease: Option<Value>,
}

async fn acquire(
    app: &App,
    cache: &Cache<Bytes>,
    key: &str,
    request: Request,
) -> Result<Response, Problem> {
    Query::of(request.uri(), &[])?;
    let JsonBody(wanted) = JsonBody::<Wanted>::from_request(request, app).await?;
    let lease_for = match &wanted.lease {
        None => DEFAULT_LEASE,
        Some(value) => duration("lease", value)?,
    };
    if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease_for) {
        return Err(Problem::invalid("\"lease\" must be between 100ms and 60s"));
    }
    match cache.acquire(key, lease_for).await? {
        Acquire::Value(entry) => Ok(hit(entry)),
        Acquire::Lease(lease) => {
            let answer = json!({
                "lease": lease.to_string(),
                "expires_in_ms": millis(lease_for),
            });
            Ok((StatusCode::CREATED, Json(answer)).into_response())
        }
        Acquire::Wait(left) => {
            let after = left.clamp(Duration::from_millis(10), MAX_RETRY_AFTER);
            let headers = [("retry-after", seconds_up(after).to_string())];
            let answer = json!({"retry_after_ms": millis_up(after)});
            Ok((StatusCode::ACCEPTED, headers, Json(answer)).into_response())
        }
        Acquire::Failed(reason) => Err(Problem::new(
            StatusCode::FAILED_DEPENDENCY,
            "load_failed",
            "Loading the value has just failed",
            reason,
        )),
        _ => Err(Problem::internal(
            "an answer of the cache is not known here",
        )),
    }
}

async fn fill(
    app: &App,
    cache: &Cache<Bytes>,
    key: &str,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::of(request.uri(), &["ttl"])?;
    let (parts, body) = request.into_parts();
    let options = entry_options(&query, &parts.headers)?;
    let lease = parts.headers.get(LEASE).ok_or_else(|| {
        Problem::invalid("header Mainstay-Lease is missing: send the lease that :acquire gave")
    })?;
    let lease = lease
        .to_str()
        .map_err(|_| Problem::invalid("header Mainstay-Lease is not ASCII"))?
        .parse::<LoadLease>()?;
    let value = read(&parts.headers, body, app.config.max_body_bytes).await?;
    match cache.fill(key, &lease, &value, options).await? {
        Fill::Stored => Ok(StatusCode::NO_CONTENT.into_response()),
        _ => Err(Problem::new(
            StatusCode::CONFLICT,
            "lease_ended",
            "The value was not stored",
            "the lease has ended, or the key or a tag was invalidated since: use the value for \
             those who asked before, and acquire again for others",
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GiveUp {
    lease: String,
    reason: Option<String>,
}

async fn give_up(
    app: &App,
    cache: &Cache<Bytes>,
    key: &str,
    request: Request,
) -> Result<Response, Problem> {
    Query::of(request.uri(), &[])?;
    let JsonBody(asked) = JsonBody::<GiveUp>::from_request(request, app).await?;
    let lease = asked.lease.parse::<LoadLease>()?;
    cache.give_up(key, &lease, asked.reason.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
