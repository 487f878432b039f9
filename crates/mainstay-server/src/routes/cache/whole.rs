//! `POST /v1/cache/{cache}:invalidate` and `GET /v1/cache/{cache}:stats`.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::extract::{JsonBody, Query, verb};
use crate::middleware::RouteLabel;
use crate::problem::Problem;
use crate::routes::no_verb;

/// Keys, and tags, of one request.
const MOST: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalidate {
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    all: bool,
}

pub(super) async fn act(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    Query::of(&uri, &[])?;
    let Some((name, "invalidate")) = verb(&uri, 2)? else {
        return Err(no_verb(":invalidate"));
    };
    let cache = app.caches.get(&name)?;
    let JsonBody(asked) = JsonBody::<Invalidate>::from_request(request, &app).await?;
    if asked.keys.is_empty() && asked.tags.is_empty() && !asked.all {
        return Err(Problem::invalid(
            "nothing to invalidate: give \"keys\", \"tags\" or \"all\": true",
        ));
    }
    if asked.keys.len().max(asked.tags.len()) > MOST {
        return Err(Problem::invalid(format!(
            "more than {MOST} keys or tags in one request"
        )));
    }
    for key in &asked.keys {
        mainstay::Key::new(key)?;
    }
    cache.invalidate_tags(&asked.tags).await?;
    let mut removed = 0_u64;
    for key in &asked.keys {
        removed += u64::from(cache.remove(key).await?);
    }
    if asked.all {
        cache.clear().await?;
    }
    let answer = json!({
        "invalidated": {"keys": asked.keys.len(), "tags": asked.tags.len(), "all": asked.all},
        "removed": removed,
    });
    Ok(labelled("/v1/cache/{cache}:invalidate", Json(answer)))
}

pub(super) async fn tell(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    Query::of(&uri, &[])?;
    let Some((name, "stats")) = verb(&uri, 2)? else {
        return Err(no_verb(":stats"));
    };
    let cache = app.caches.get(&name)?;
    let here = cache.stats();
    let sums = cache.shared_stats().await?;
    let sums: Map<String, Value> = sums.into_iter().map(|(n, sum)| (n, sum.into())).collect();
    let answer = json!({
        "cache": name,
        "process": {
            "near_hits": here.near_hits, "remote_hits": here.remote_hits, "misses": here.misses,
            "loads": here.loads, "load_failures": here.load_failures, "waits": here.waits,
            "stale_served": here.stale_served, "superseded": here.superseded,
            "not_stored": here.not_stored, "undecodable": here.undecodable,
            "invalidations": here.invalidations, "checked": here.checked,
            "incoherent": here.incoherent, "near_entries": here.near_entries,
            "near_bytes": here.near_bytes,
        },
        "all_processes": sums,
    });
    Ok(labelled("/v1/cache/{cache}:stats", Json(answer)))
}

fn labelled(label: &'static str, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(RouteLabel(label));
    response
}
