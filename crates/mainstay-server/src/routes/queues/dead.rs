//! `/v1/queues/{queue}/dead`, `:replay` and `:purge`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use mainstay::queue::DeadLetter;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{body, queue, with_payload};
use crate::app::App;
use crate::extract::{Query, segment, verb};
use crate::middleware::RouteLabel;
use crate::problem::{Problem, millis};

fn no_such_route() -> Problem {
    Problem::not_found("no_such_route", "write dead, dead:replay or dead:purge")
}

pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Json<Value>, Problem> {
    let query = Query::of(&uri, &["limit", "skip"])?;
    if segment(&uri, 3)? != "dead" {
        return Err(no_such_route());
    }
    let skip = query.one("skip")?.map_or(Ok(0), str::parse::<u64>);
    let skip = skip.map_err(|_| Problem::invalid("\"skip\" must be a number from 0"))?;
    let queue = queue(&app, &segment(&uri, 2)?, None)?;
    let letters = queue.dead(skip, query.limit()? as u64).await?;
    let letters = letters.iter().map(described).collect::<Value>();
    Ok(Json(json!({ "letters": letters })))
}

fn described(letter: &DeadLetter) -> Value {
    let answer = json!({
        "id": letter.id,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "pushed_at_ms": millis(letter.pushed_at),
        "died_at_ms": millis(letter.died_at),
        "consumer": letter.consumer,
        "key": letter.key,
        "traceparent": letter.traceparent,
    });
    with_payload(answer, &letter.payload)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    all: bool,
}

pub(super) async fn act(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    Query::of(&uri, &[])?;
    let Some((resource, verb)) = verb(&uri, 3)? else {
        return Err(no_such_route());
    };
    if resource != "dead" {
        return Err(no_such_route());
    }
    let queue = queue(&app, &segment(&uri, 2)?, None)?;
    let chosen: Chosen = body(&app, request).await?;
    if chosen.all != chosen.ids.is_empty() {
        return Err(Problem::invalid("give either \"ids\" or \"all\": true"));
    }
    let (label, answer) = match verb {
        "replay" => {
            let many = if chosen.all {
                queue.replay_if(|_| true).await?
            } else {
                queue.replay(&chosen.ids).await?
            };
            (
                "/v1/queues/{queue}/dead:replay",
                json!({ "replayed": many }),
            )
        }
        "purge" => {
            let many = if chosen.all {
                queue.purge_if(|_| true).await?
            } else {
                queue.purge(&chosen.ids).await?
            };
            ("/v1/queues/{queue}/dead:purge", json!({ "purged": many }))
        }
        _ => return Err(no_such_route()),
    };
    let mut response = Json(answer).into_response();
    response.extensions_mut().insert(RouteLabel(label));
    Ok(response)
}
