//! `/v1/cache`: bytes under keys, invalidation, and leases for those who load elsewhere.

mod entry;
mod lease;
mod whole;

use std::time::Duration;

use axum::Router;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, Uri};
use axum::routing::get;
use bytes::Bytes;
use mainstay::cache::{Cache, EntryOptions};

use crate::app::App;
use crate::extract::{Query, duration, segment};
use crate::problem::Problem;

const DEFAULT_TTL: Duration = Duration::from_secs(300);
const TAG: HeaderName = HeaderName::from_static("mainstay-tag");

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route(
            "/v1/cache/{cache}/{key}",
            get(entry::read)
                .put(entry::write)
                .delete(entry::remove)
                .post(lease::act),
        )
        .route(
            "/v1/cache/{cache_and_verb}",
            get(whole::tell).post(whole::act),
        )
}

/// The cache and the key that the path names.
fn named(app: &App, uri: &Uri) -> Result<(Cache<Bytes>, String), Problem> {
    Ok((app.caches.get(&segment(uri, 2)?)?, segment(uri, 3)?))
}

/// What a new entry has of its own: `?ttl=` and the tags of the header.
fn entry_options(query: &Query, headers: &HeaderMap) -> Result<EntryOptions, Problem> {
    let ttl = match query.one("ttl")? {
        None => DEFAULT_TTL,
        Some(text) => duration("ttl", &text.into())?,
    };
    let mut options = EntryOptions::new().ttl(ttl);
    for value in headers.get_all(TAG) {
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Problem::invalid("header Mainstay-Tag is not UTF-8"))?;
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            options = options.tag(tag);
        }
    }
    Ok(options)
}
