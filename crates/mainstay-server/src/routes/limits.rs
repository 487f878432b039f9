//! `POST /v1/limits/{policies}:check` and so on: asks whether a subject may go on.
//!
//! Several policies stand between commas, and are decided on in one step.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use mainstay::http::limit::headers;
use mainstay::ratelimit::{Call, Decision, Limiter, Quota, RetryAfter};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::no_verb;
use crate::app::App;
use crate::extract::{JsonBody, Query, verb};
use crate::middleware::RouteLabel;
use crate::problem::{Problem, millis_up};

/// Policies that one call is decided by at most.
const MOST: usize = 16;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/limits/{policies_and_verb}", post(ask))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    subject: Subject,
    cost: Option<u64>,
    /// Makes a check safe to repeat.
    token: Option<String>,
    /// Of the check that a refund is of.
    decided_at_us: Option<u64>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "subject must be a string, or one for each policy"
)]
enum Subject {
    One(String),
    Each(Vec<String>),
}

#[derive(Clone, Copy)]
enum Verb {
    Check,
    Peek,
    Reset,
    Refund,
}

impl Verb {
    const ALL: [(&'static str, Self, RouteLabel); 4] = [
        (
            "check",
            Self::Check,
            RouteLabel("/v1/limits/{policies}:check"),
        ),
        ("peek", Self::Peek, RouteLabel("/v1/limits/{policies}:peek")),
        (
            "reset",
            Self::Reset,
            RouteLabel("/v1/limits/{policies}:reset"),
        ),
        (
            "refund",
            Self::Refund,
            RouteLabel("/v1/limits/{policies}:refund"),
        ),
    ];
}

async fn ask(
    State(app): State<App>,
    uri: Uri,
    body: Result<JsonBody<Ask>, Problem>,
) -> Result<Response, Problem> {
    Query::of(&uri, &[])?;
    let asked = verb(&uri, 2)?;
    let known = |(name, verb): (String, &str)| {
        let known = Verb::ALL.into_iter().find(|(word, ..)| *word == verb);
        known.map(|(_, verb, label)| (name, verb, label))
    };
    let Some((names, verb, label)) = asked.and_then(known) else {
        return Err(no_verb(":check, :peek, :reset, :refund"));
    };
    let mut response = match answer(&app, &names, verb, body).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(label);
    Ok(response)
}

async fn answer(
    app: &App,
    names: &str,
    verb: Verb,
    body: Result<JsonBody<Ask>, Problem>,
) -> Result<Response, Problem> {
    let limiter = limiter(app, names)?;
    let JsonBody(ask) = body?;
    let mut call = match &ask.subject {
        Subject::One(subject) => limiter.call(subject),
        Subject::Each(subjects) => limiter.call_each(subjects),
    };
    if let Some(cost) = ask.cost {
        call = call.cost(cost);
    }
    match verb {
        Verb::Check => {
            if let Some(token) = &ask.token {
                call = call.once(token.as_str());
            }
            Ok(decided(&limiter, &call.check().await?))
        }
        Verb::Peek => Ok(decided(&limiter, &call.peek().await?)),
        Verb::Reset => Ok(Json(json!({ "reset": call.reset().await? })).into_response()),
        Verb::Refund => refund(call, ask.decided_at_us).await,
    }
}

async fn refund(call: Call<'_>, decided_at_us: Option<u64>) -> Result<Response, Problem> {
    let decided_at = decided_at_us.map(Duration::from_micros).ok_or_else(|| {
        Problem::invalid("a refund needs decided_at_us, which the check has answered")
    })?;
    let refunded = call.refund_of(decided_at).await?;
    Ok(Json(json!({ "refunded": refunded })).into_response())
}

/// A limiter for all policies that are named.
fn limiter(app: &App, names: &str) -> Result<Limiter, Problem> {
    let names: Vec<_> = names.split(',').collect();
    if names.len() > MOST {
        return Err(Problem::invalid(format!(
            "{} policies are named: at most {MOST} are decided on in one step",
            names.len()
        )));
    }
    let mut limiters = names
        .iter()
        .map(|name| app.limiters.get(*name).ok_or_else(|| unknown(app)));
    let first = limiters.next().ok_or_else(|| unknown(app))??;
    limiters.try_fold(first.clone(), |all, limiter| {
        let policies = limiter?.policies().iter();
        let all = policies
            .cloned()
            .try_fold(all, |all, policy| all.and(policy));
        Ok(all?)
    })
}

/// What was decided, with the header fields that say so.
fn decided(limiter: &Limiter, decision: &Decision) -> Response {
    let quota = decision.tightest();
    let mut fields = described(quota);
    fields.insert("allowed".to_owned(), decision.is_allowed().into());
    fields.insert(
        "decided_at_us".to_owned(),
        micros(decision.decided_at()).into(),
    );
    if decision.quotas().len() > 1 {
        let quotas = decision.quotas().iter().map(|quota| {
            let mut fields = described(quota);
            fields.insert("policy".to_owned(), quota.policy.as_str().into());
            Value::from(fields)
        });
        fields.insert("quotas".to_owned(), quotas.collect());
    }
    let mut response = match decision.retry_after() {
        None => Json(fields).into_response(),
        Some(retry_after) => {
            let violated = decision
                .quotas()
                .iter()
                .filter(|it| it.retry_after.is_some());
            let violated: Vec<_> = violated.map(|quota| quota.policy.as_str()).collect();
            fields.remove("retry_after_ms");
            let problem = denied(retry_after).field("violated-policies", violated);
            let fields = fields.into_iter();
            let problem = fields.fold(problem, |problem, (name, value)| {
                problem.field(&name, value)
            });
            problem.into_response()
        }
    };
    headers::set(response.headers_mut(), limiter.policies(), decision, None);
    response
}

fn described(quota: &Quota) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("allowed", quota.retry_after.is_none().into());
    put("limit", quota.limit.into());
    put("remaining", quota.remaining.into());
    put("reset_after_ms", millis_up(quota.reset_after).into());
    if let Some(RetryAfter::After(wait)) = quota.retry_after {
        put("retry_after_ms", millis_up(wait).into());
    }
    fields
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn denied(retry_after: RetryAfter) -> Problem {
    let problem = |code, detail: &str| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            code,
            "Too many requests",
            detail,
        )
        .registered("https://iana.org/assignments/http-problem-types#quota-exceeded")
    };
    match retry_after {
        RetryAfter::After(after) => problem(
            "rate_limited",
            "the limit is used up; retry_after_ms says when the same call fits",
        )
        .retry_after(after),
        RetryAfter::Never => problem(
            "cost_above_limit",
            "the cost is above the limit: this call never fits",
        ),
    }
}

fn unknown(app: &App) -> Problem {
    let known: Vec<&str> = app.limiters.keys().map(String::as_str).collect();
    let detail = if known.is_empty() {
        "no policy is configured".to_owned()
    } else {
        format!("no such policy; known here: {}", known.join(", "))
    };
    Problem::not_found("unknown_policy", detail).field("known", known)
}
