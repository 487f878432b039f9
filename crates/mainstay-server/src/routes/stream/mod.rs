//! `GET /v1/stream?channel=a&channel=b`: server-sent events of many channels.

mod cursor;
mod feed;
mod frame;
mod source;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mainstay::Name;
use mainstay::pubsub::Start;

use self::cursor::Cursor;
use self::feed::Feed;
use self::source::Source;
use crate::app::App;
use crate::extract::Query;
use crate::problem::Problem;

const MAX_CHANNELS: usize = 64;
/// Undelivered events of one client. A slower one gets a `reset` with the reason `overflow`, and of
/// channels that keep a history what it has not got is read from there.
const BUFFER_BYTES: usize = 1 << 20;
const LAST_EVENT_ID: &str = "last-event-id";
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/stream", get(stream))
}

async fn stream(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["channel", "from", "last_event_id"])?;
    let names = channels(&query)?;
    let fresh = match query.one("from")? {
        None => Start::Now,
        Some("beginning") => Start::Beginning,
        Some(_) => return Err(Problem::invalid("\"from\" can only be \"beginning\"")),
    };
    let last = headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty());
    let last = match last {
        Some(last) => Some(last.to_str().unwrap_or_default()),
        None => query.one("last_event_id")?,
    };
    let came_as_far = last.map(|last| Cursor::read(last).unwrap_or_default());
    let feed = open(&app, names, fresh, came_as_far).await?;
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, Body::from_stream(feed.into_stream())).into_response())
}

/// Listens to all channels: to those that keep a history from where the client was, if it was there.
async fn open(
    app: &App,
    names: Vec<Name>,
    fresh: Start,
    came_as_far: Option<Cursor>,
) -> Result<Feed, Problem> {
    let mut forgotten = Vec::new();
    let mut plain = Vec::new();
    let mut kept = Vec::new();
    let mut cursor = Cursor::default();
    let room = BUFFER_BYTES / names.len().max(1);
    for name in &names {
        let Some(history) = app.history(name.as_str(), room)? else {
            plain.push(name.clone());
            continue;
        };
        let start = match came_as_far.as_ref().map(|cursor| cursor.get(name)) {
            None => fresh.clone(),
            Some(Some(position)) => Start::After(position.clone()),
            Some(None) => {
                forgotten.push(name.clone());
                Start::Now
            }
        };
        let subscriber = history.subscribe_from(start).await?;
        cursor.set(name, subscriber.position().clone());
        kept.push((name.clone(), subscriber));
    }
    if came_as_far.is_some() {
        forgotten.extend(plain.iter().cloned());
    }
    let subscriber = match plain.as_slice() {
        [] => None,
        plain => Some(app.stay.subscribe(plain, BUFFER_BYTES).await?),
    };
    let mut source = Source::new(subscriber);
    for (name, subscriber) in kept {
        source.add(name, subscriber);
    }
    Ok(Feed::new(
        source,
        plain,
        cursor,
        forgotten,
        app.closing.clone(),
    ))
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
