//! `GET /v1/stream?channel=a&channel=b`: server-sent events of many channels.

mod feed;
mod frame;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mainstay::Name;

use self::feed::Feed;
use crate::app::App;
use crate::extract::Query;
use crate::problem::Problem;

const MAX_CHANNELS: usize = 64;
/// Undelivered events of one client; a slower one gets a `reset` with the reason `overflow`.
const BUFFER_BYTES: usize = 1 << 20;
const LAST_EVENT_ID: &str = "last-event-id";
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/stream", get(stream))
}

async fn stream(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let names = channels(&Query::of(&uri, &["channel"])?)?;
    let resuming = headers
        .get(LAST_EVENT_ID)
        .is_some_and(|last| !last.is_empty());
    let subscriber = app.stay.subscribe(&names, BUFFER_BYTES).await?;
    let feed = Feed::new(subscriber, names, app.closing.clone(), resuming);
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, Body::from_stream(feed.into_stream())).into_response())
}

/// The distinct channels of the query, in its order.
fn channels(query: &Query) -> Result<Vec<Name>, Problem> {
    let mut names: Vec<Name> = Vec::new();
    for text in query.all("channel") {
        let name = Name::new(text)?;
        if names.contains(&name) {
            continue;
        }
        if names.len() == MAX_CHANNELS {
            return Err(Problem::invalid(format!(
                "more than {MAX_CHANNELS} channels: open another stream for the rest"
            )));
        }
        names.push(name);
    }
    if names.is_empty() {
        return Err(Problem::invalid(
            "no channel: name at least one, as in ?channel=alarms",
        ));
    }
    Ok(names)
}
