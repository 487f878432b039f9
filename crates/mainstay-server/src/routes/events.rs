//! `POST /v1/channels/{channel}/events`: publish to whoever listens, and to the history if the
//! channel keeps one; `GET` reads it.

use std::error::Error as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use mainstay::pubsub::{Event, History, HistoryGap, HistoryItem, Position, Start};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::extract::{Query, content_type, parse, read, segment};
use crate::problem::Problem;

const JSON: &str = "application/json";
const CLOUD_EVENT: &str = "application/cloudevents+json";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/channels/{channel}/events", get(list).post(publish))
}

/// A reader holds nothing that it was not handed.
const NO_BUFFER: usize = 1;

async fn publish(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    Query::of(&uri, &[])?;
    let name = segment(&uri, 2)?;
    let sent_as = content_type(&headers, &[JSON, CLOUD_EVENT])?;
    let bytes = read(&headers, body, app.config.max_body_bytes).await?;
    let (event, has_own_id) = if sent_as == JSON {
        let sent: PlainEvent = parse(&bytes)?;
        let has_own_id = sent.id.is_some();
        (plain_event(sent)?, has_own_id)
    } else {
        (cloud_event(&bytes)?, true)
    };
    if let Some(history) = app.history(&name, NO_BUFFER)? {
        // An id that the publisher chose lets it send the event again until it is answered.
        let (position, is_repeated) = if has_own_id {
            let published = history.publish_once(&event).await?;
            (published.position, published.is_repeated)
        } else {
            (history.publish_event(&event).await?, false)
        };
        let answer = json!({
            "id": event.id, "position": position.to_string(), "sequence": position.sequence(),
            "repeated": is_repeated,
        });
        return Ok((StatusCode::ACCEPTED, Json(answer)));
    }
    let channel = app.stay.channel::<Value>(&name).build()?;
    let receivers = channel.publish_event(&event).await?;
    let answer = json!({ "receivers": receivers, "id": event.id });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// What is kept after a place, or from the oldest event on.
async fn list(State(app): State<App>, uri: Uri) -> Result<Json<Value>, Problem> {
    let query = Query::of(&uri, &["after", "limit"])?;
    let name = segment(&uri, 2)?;
    let (limit, most) = (query.limit()?, History::<Value>::READ_MOST);
    if limit > most {
        return Err(Problem::invalid(format!(
            "\"limit\" must be between 1 and {most}"
        )));
    }
    let start = match query.one("after")? {
        None => Start::Beginning,
        Some(place) => Start::After(place.parse()?),
    };
    let Some(history) = app.history(&name, NO_BUFFER)? else {
        return Err(Problem::not_found(
            "no_history",
            "this channel keeps no history: the server's configuration says which do",
        ));
    };
    let items = history.read(start, limit).await?;
    let items: Vec<_> = items.into_iter().map(listed).collect();
    Ok(Json(json!({ "items": items })))
}

fn listed(item: HistoryItem<Value>) -> Value {
    let undecodable = json!({});
    match item {
        HistoryItem::Event {
            position, event, ..
        } => {
            let json = event.identified().to_json().ok();
            let event = json.and_then(|json| serde_json::from_slice::<Value>(&json).ok());
            let place = at(&position);
            match event {
                Some(event) => with(place, "event", event),
                None => with(place, "undecodable", undecodable),
            }
        }
        HistoryItem::Gap(HistoryGap {
            from, to, reason, ..
        }) => json!({ "gap": { "from": from, "to": to, "reason": reason.as_str() } }),
        HistoryItem::Undecodable {
            position, payload, ..
        } => with(
            at(&position),
            "undecodable",
            json!({ "bytes": payload.len() }),
        ),
        _ => undecodable,
    }
}

fn at(position: &Position) -> Value {
    json!({ "position": position.to_string(), "sequence": position.sequence() })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert(name.into(), value);
    }
    object
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
    id: Option<String>,
    source: Option<String>,
    subject: Option<String>,
    traceparent: Option<String>,
}

fn plain_event(sent: PlainEvent) -> Result<Event<Value>, Problem> {
    let mut event = Event::new(filled("type", sent.kind)?, sent.data);
    if let Some(id) = sent.id {
        event.id = filled("id", id)?;
    }
    if let Some(source) = sent.source {
        event.source = filled("source", source)?;
    }
    event.subject = sent.subject;
    event.traceparent = sent.traceparent;
    Ok(event)
}

fn filled(field: &str, text: String) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(Problem::invalid(format!("\"{field}\" is empty")));
    }
    Ok(text)
}

/// Reads structured JSON of `CloudEvents` 1.0. The required attributes are checked here, as the
/// library takes any other JSON for a message of another program.
fn cloud_event(bytes: &[u8]) -> Result<Event<Value>, Problem> {
    let document: Value = parse(bytes)?;
    if document.get("specversion").and_then(Value::as_str) != Some("1.0") {
        return Err(Problem::invalid(
            "\"specversion\" is not \"1.0\": send a CloudEvent 1.0, or use application/json",
        ));
    }
    for attribute in ["id", "source", "type"] {
        let text = document.get(attribute).and_then(Value::as_str);
        if text.is_none_or(str::is_empty) {
            return Err(Problem::invalid(format!(
                "\"{attribute}\" of the CloudEvent is missing, empty or not a string"
            )));
        }
    }
    Event::from_json(bytes).map_err(|error| {
        // The library blames what is stored; here it is the request.
        Problem::invalid(match error.source() {
            None => error.to_string(),
            Some(cause) => format!("{error}: {cause}"),
        })
    })
}
