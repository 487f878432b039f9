//! `GET`, `PUT` and `DELETE` of one entry.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use mainstay::cache::Entry;

use super::{entry_options, named};
use crate::app::App;
use crate::extract::{Query, read as read_body};
use crate::problem::Problem;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

pub(super) async fn read(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    Query::of(&uri, &[])?;
    let (cache, key) = named(&app, &uri)?;
    match cache.entry(&key).await? {
        Some(entry) => Ok(hit(entry)),
        None => Err(
            Problem::not_found("cache_miss", "there is no value under this key")
                .header(CACHE_STATUS, "mainstay; detail=miss"),
        ),
    }
}

/// The value, with its age and the time it has left (RFC 9111, RFC 9211).
pub(super) fn hit(entry: Entry<Bytes>) -> Response {
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
    (headers, entry.value).into_response()
}

pub(super) async fn write(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let options = entry_options(&Query::of(&uri, &["ttl"])?, &headers)?;
    let (cache, key) = named(&app, &uri)?;
    let value = read_body(&headers, body, app.config.max_body_bytes).await?;
    cache.set_with(&key, &value, options).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(State(app): State<App>, uri: Uri) -> Result<StatusCode, Problem> {
    Query::of(&uri, &[])?;
    let (cache, key) = named(&app, &uri)?;
    cache.remove(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}
