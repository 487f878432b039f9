//! `/v1/cache/{cache}/{key}`: bytes under a key.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use mainstay::cache::Cache;
use mainstay::codec::Raw;

use crate::app::App;
use crate::extract::{Query, duration, read, segment};
use crate::problem::Problem;

const DEFAULT_TTL: Duration = Duration::from_secs(300);
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

pub(super) fn routes() -> Router<App> {
    Router::new().route(
        "/v1/cache/{cache}/{key}",
        get(read_entry).put(write_entry).delete(remove_entry),
    )
}

/// The cache and the key that the path names.
fn named(app: &App, uri: &Uri) -> Result<(Cache<Bytes>, String), Problem> {
    let name = segment(uri, 2)?;
    let cache = app.stay.cache::<Bytes>(&name).codec(Raw).build()?;
    Ok((cache, segment(uri, 3)?))
}

async fn read_entry(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    Query::of(&uri, &[])?;
    let (cache, key) = named(&app, &uri)?;
    let Some(entry) = cache.entry(&key).await? else {
        return Err(
            Problem::not_found("cache_miss", "there is no value under this key")
                .header(CACHE_STATUS, "mainstay; detail=miss"),
        );
    };
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        // Another cache on the way would not hear of an invalidation.
        (CACHE_CONTROL, "no-store".to_owned()),
        (AGE, entry.age.as_secs().to_string()),
        (
            CACHE_STATUS,
            format!("mainstay; hit; ttl={}", entry.ttl_left.as_secs()),
        ),
    ];
    Ok((headers, entry.value).into_response())
}

async fn write_entry(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let query = Query::of(&uri, &["ttl"])?;
    let ttl = match query.one("ttl")? {
        None => DEFAULT_TTL,
        Some(text) => duration("ttl", &text.into())?,
    };
    let (cache, key) = named(&app, &uri)?;
    let value = read(&headers, body, app.config.max_body_bytes).await?;
    cache.set_with_ttl(&key, &value, ttl).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_entry(State(app): State<App>, uri: Uri) -> Result<StatusCode, Problem> {
    Query::of(&uri, &[])?;
    let (cache, key) = named(&app, &uri)?;
    cache.remove(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}
