//! `:push`, `:take`, `:renew` and `:settle`: several jobs in each request.

use std::time::Duration;

use axum::extract::Request;
use mainstay::queue::{Outcome, Pushed, Settled, Ticket};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{body, queue, with_payload};
use crate::app::App;
use crate::extract::duration;
use crate::problem::{Problem, millis};

const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// In one request.
const MOST: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    jobs: Vec<NewJob>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewJob {
    #[serde(default)]
    data: Value,
    id: Option<String>,
    key: Option<String>,
    delay: Option<Value>,
    traceparent: Option<String>,
}

fn check_many(many: usize) -> Result<(), Problem> {
    if many > MOST {
        return Err(Problem::invalid("\"jobs\" holds more than 1000"));
    }
    Ok(())
}

pub(super) async fn push(app: &App, name: &str, request: Request) -> Result<Value, Problem> {
    let asked: Push = body(app, request).await?;
    check_many(asked.jobs.len())?;
    let queue = queue(app, name, None)?;
    let mut jobs = Vec::with_capacity(asked.jobs.len());
    for new in &asked.jobs {
        let mut job = queue.job(&new.data);
        if let Some(id) = &new.id {
            job = job.id(id);
        }
        if let Some(key) = &new.key {
            job = job.key(key);
        }
        if let Some(delay) = &new.delay {
            job = job.delay(duration("delay", delay)?);
        }
        if let Some(traceparent) = &new.traceparent {
            job = job.traceparent(traceparent);
        }
        jobs.push(job);
    }
    let pushed = queue.push_jobs(jobs).await?;
    let answers = pushed.into_iter().map(|pushed| match pushed {
        Pushed::Added { id } => json!({ "push": "added", "id": id }),
        Pushed::Duplicate { id } => json!({ "push": "duplicate", "id": id }),
        _ => json!({ "push": "full" }),
    });
    Ok(json!({ "jobs": answers.collect::<Value>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    consumer: String,
    most: Option<u32>,
    lease: Option<Value>,
    max_attempts: Option<u32>,
}

fn lease(value: Option<&Value>) -> Result<Duration, Problem> {
    value.map_or(Ok(DEFAULT_LEASE), |value| duration("lease", value))
}

pub(super) async fn take(app: &App, name: &str, request: Request) -> Result<Value, Problem> {
    let asked: Take = body(app, request).await?;
    let queue = queue(app, name, asked.max_attempts)?;
    let lease = lease(asked.lease.as_ref())?;
    let most = asked.most.unwrap_or(1);
    let taken = queue.take(&asked.consumer, most, lease).await?;
    let jobs = taken.into_iter().map(|job| {
        let answer = json!({
            "id": job.ticket.id,
            "fence": job.ticket.fence,
            "attempt": job.attempt,
            "pushed_at_ms": millis(job.pushed_at),
            "key": job.key,
            "traceparent": job.traceparent,
        });
        with_payload(answer, &job.payload)
    });
    Ok(json!({ "jobs": jobs.collect::<Value>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renew {
    jobs: Vec<Held>,
    lease: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    id: String,
    fence: u64,
}

pub(super) async fn renew(app: &App, name: &str, request: Request) -> Result<Value, Problem> {
    let asked: Renew = body(app, request).await?;
    check_many(asked.jobs.len())?;
    let lease = lease(asked.lease.as_ref())?;
    let tickets = asked.jobs.into_iter().map(|job| Ticket {
        id: job.id,
        fence: job.fence,
    });
    let tickets: Vec<_> = tickets.collect();
    let renewed = queue(app, name, None)?.renew(&tickets, lease).await?;
    let jobs = tickets.iter().zip(renewed);
    let jobs = jobs.map(|(ticket, renewed)| json!({ "id": ticket.id, "renewed": renewed }));
    Ok(json!({ "jobs": jobs.collect::<Value>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    jobs: Vec<End>,
    max_attempts: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    id: String,
    fence: u64,
    outcome: Word,
    after: Option<Value>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Done,
    Retry,
    Back,
    Dead,
}

impl End {
    fn read(self) -> Result<(Ticket, Outcome), Problem> {
        let reason = self.reason;
        let outcome = match self.outcome {
            Word::Done => Outcome::Done,
            Word::Retry => {
                let after = self.after.as_ref();
                let after = after.map_or(Ok(Duration::ZERO), |after| duration("after", after))?;
                Outcome::Retry { after, reason }
            }
            Word::Back => Outcome::Back,
            Word::Dead => Outcome::Dead { reason },
        };
        let ticket = Ticket {
            id: self.id,
            fence: self.fence,
        };
        Ok((ticket, outcome))
    }
}

pub(super) async fn settle(app: &App, name: &str, request: Request) -> Result<Value, Problem> {
    let asked: Settle = body(app, request).await?;
    check_many(asked.jobs.len())?;
    let outcomes = asked.jobs.into_iter().map(End::read);
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
    let settled = queue(app, name, asked.max_attempts)?
        .settle(&outcomes)
        .await?;
    let jobs = outcomes.iter().zip(settled).map(|((ticket, _), settled)| {
        let settled = match settled {
            Settled::Settled => "settled",
            Settled::Dead => "dead",
            _ => "lost",
        };
        json!({ "id": ticket.id, "settled": settled })
    });
    Ok(json!({ "jobs": jobs.collect::<Value>() }))
}
