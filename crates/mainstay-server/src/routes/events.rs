//! `POST /v1/channels/{channel}/events`: publish to whoever listens.

use std::error::Error as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use axum::{Json, Router};
use mainstay::pubsub::Event;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::extract::{Query, content_type, parse, read, segment};
use crate::problem::Problem;

const JSON: &str = "application/json";
const CLOUD_EVENT: &str = "application/cloudevents+json";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/channels/{channel}/events", post(publish))
}

async fn publish(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    Query::of(&uri, &[])?;
    let name = segment(&uri, 2)?;
    let channel = app.stay.channel::<Value>(&name).build()?;
    let sent_as = content_type(&headers, &[JSON, CLOUD_EVENT])?;
    let bytes = read(&headers, body, app.config.max_body_bytes).await?;
    let event = if sent_as == JSON {
        plain_event(parse(&bytes)?)?
    } else {
        cloud_event(&bytes)?
    };
    let receivers = channel.publish_event(&event).await?;
    let answer = json!({ "receivers": receivers, "id": event.id });
    Ok((StatusCode::ACCEPTED, Json(answer)))
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
