//! `POST /v1/limits/{policies}:check` and so on: asks whether a subject may go on.
//!
//! Several policies stand between commas, and are decided on in one step.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mainstay::http::limit::headers;
use mainstay::ratelimit::{Call, Decision, Limiter, PermitAttempt, Quota, RetryAfter};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::no_verb;
use crate::app::App;
use crate::extract::{JsonBody, OneOrEach, Query, verb};
use crate::limits::LimitTable;
use crate::middleware::RouteLabel;
use crate::problem::{Problem, millis, millis_up};

/// Policies that one call is decided by at most.
const MOST: usize = 16;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/limits", get(list))
        .route("/v1/limits/{policies_and_verb}", post(ask))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    subject: OneOrEach<String>,
    cost: Option<OneOrEach<u64>>,
    /// Makes a check safe to repeat; of a permit, its name.
    token: Option<String>,
    /// Of the check that a refund is of.
    decided_at_us: Option<OneOrEach<u64>>,
}

#[derive(Clone, Copy)]
enum Verb {
    Check,
    Peek,
    Reset,
    Refund,
    Enter,
    Renew,
    Leave,
}

const VERBS: &str = ":check, :peek, :reset, :refund, :enter, :renew, :leave";

impl Verb {
    fn named(word: &str) -> Option<(Self, RouteLabel)> {
        let (verb, label) = match word {
            "check" => (Self::Check, "/v1/limits/{policies}:check"),
            "peek" => (Self::Peek, "/v1/limits/{policies}:peek"),
            "reset" => (Self::Reset, "/v1/limits/{policies}:reset"),
            "refund" => (Self::Refund, "/v1/limits/{policies}:refund"),
            "enter" => (Self::Enter, "/v1/limits/{policies}:enter"),
            "renew" => (Self::Renew, "/v1/limits/{policies}:renew"),
            "leave" => (Self::Leave, "/v1/limits/{policies}:leave"),
            _ => return None,
        };
        Some((verb, RouteLabel(label)))
    }
}

/// `GET /v1/limits`: the policies, as they are configured.
async fn list(State(app): State<App>, uri: Uri) -> Result<Json<Value>, Problem> {
    Query::of(&uri, &[])?;
    let table = app.limits.current();
    let policies = table.limiters().flat_map(|(_, limiter)| limiter.policies());
    let described = policies.map(|policy| {
        json!({
            "name": policy.name().as_str(),
            "policy": policy.to_string(),
            "limit": policy.limit(),
            "capacity": policy.capacity(),
            "period_ms": millis_up(policy.period()),
        })
    });
    Ok(Json(json!({ "policies": described.collect::<Vec<_>>() })))
}

async fn ask(
    State(app): State<App>,
    uri: Uri,
    body: Result<JsonBody<Ask>, Problem>,
) -> Result<Response, Problem> {
    Query::of(&uri, &[])?;
    let asked = verb(&uri, 2)?;
    let known = asked.and_then(|(names, word)| Some((names, Verb::named(word)?)));
    let Some((names, (verb, label))) = known else {
        return Err(no_verb(VERBS));
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
    let table = app.limits.current();
    let limiters = limiters(&table, names)?;
    let JsonBody(ask) = body?;
    let call = call(&limiters, &ask)?;
    let token = || {
        ask.token.as_deref().ok_or_else(|| {
            Problem::invalid("\"token\" is missing: the one that :enter has answered")
        })
    };
    match verb {
        Verb::Check => {
            let call = match &ask.token {
                Some(token) => call.once(token.as_str()),
                None => call,
            };
            Ok(decided(&limiters, &call.check().await?, Map::new()))
        }
        Verb::Peek => Ok(decided(&limiters, &call.peek().await?, Map::new())),
        Verb::Reset => Ok(Json(json!({ "reset": call.reset().await? })).into_response()),
        Verb::Refund => refund(call, &ask, limiters.len()).await,
        Verb::Enter => match call.lease().await? {
            PermitAttempt::Leased(lease) => {
                let mut fields = Map::new();
                fields.insert("token".to_owned(), lease.token.into());
                fields.insert("expires_in_ms".to_owned(), millis(lease.expires_in).into());
                Ok(decided(&limiters, &lease.decision, fields))
            }
            PermitAttempt::Denied(decision) => Ok(decided(&limiters, &decision, Map::new())),
        },
        Verb::Renew => {
            let left = call.renew(token()?).await?.ok_or_else(not_out)?;
            Ok(Json(json!({ "expires_in_ms": millis(left) })).into_response())
        }
        Verb::Leave => {
            let was_out = call.leave(token()?).await?;
            was_out
                .then(|| StatusCode::NO_CONTENT.into_response())
                .ok_or_else(not_out)
        }
    }
}

async fn refund(call: Call<'_>, ask: &Ask, policies: usize) -> Result<Response, Problem> {
    let decided_at = ask.decided_at_us.as_ref().ok_or_else(|| {
        Problem::invalid("a refund needs decided_at_us, which the check has answered")
    })?;
    let times = decided_at.each(policies, "decided_at_us")?.into_iter();
    let times: Vec<_> = times.map(|micros| Duration::from_micros(*micros)).collect();
    let refunded = call.refund_of_each(&times).await?;
    Ok(Json(json!({ "refunded": refunded })).into_response())
}

/// The limiters of all policies that are named.
fn limiters<'a>(table: &'a LimitTable, names: &str) -> Result<Vec<&'a Limiter>, Problem> {
    let names: Vec<_> = names.split(',').collect();
    if names.len() > MOST {
        return Err(Problem::invalid(format!(
            "{} policies are named: at most {MOST} are decided on in one step",
            names.len()
        )));
    }
    let limiters = names.iter().map(|name| table.limiter(name));
    limiters
        .collect::<Option<_>>()
        .ok_or_else(|| unknown(table))
}

fn call<'a>(limiters: &[&'a Limiter], ask: &Ask) -> Result<Call<'a>, Problem> {
    let subjects = ask.subject.each(limiters.len(), "subject")?;
    let costs = match &ask.cost {
        Some(cost) => cost.each(limiters.len(), "cost")?,
        None => vec![&1; limiters.len()],
    };
    let asked = limiters.iter().zip(subjects).zip(costs);
    let calls = asked.map(|((limiter, subject), cost)| limiter.call(subject).cost(*cost));
    let call = calls.reduce(Call::and);
    Ok(call.expect("invariant: a policy was named"))
}

fn not_out() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "permit_not_out",
        "The permit has ended",
        "it was given back, or not renewed in time: stop what it was for, and enter again",
    )
}

/// What was decided, with the header fields that say so.
fn decided(limiters: &[&Limiter], decision: &Decision, more: Map<String, Value>) -> Response {
    let quota = decision.tightest();
    let mut fields = described(quota);
    fields.extend(more);
    fields.insert("allowed".to_owned(), decision.is_allowed().into());
    fields.insert(
        "decided_at_us".to_owned(),
        micros(decision.decided_at()).into(),
    );
    if decision.quotas().len() > 1 {
        let quotas = decision.quotas().iter().map(|quota| {
            let mut fields = described(quota);
            fields.insert("policy".to_owned(), quota.policy.as_str().into());
            fields.insert("decided_at_us".to_owned(), micros(quota.decided_at).into());
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
    let policies = limiters.iter().flat_map(|limiter| limiter.policies());
    let policies: Vec<_> = policies.cloned().collect();
    headers::set(response.headers_mut(), &policies, decision, None);
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

fn unknown(table: &LimitTable) -> Problem {
    let known: Vec<&str> = table.limiters().map(|(name, _)| name).collect();
    let detail = if known.is_empty() {
        "no policy is configured".to_owned()
    } else {
        format!("no such policy; known here: {}", known.join(", "))
    };
    Problem::not_found("unknown_policy", detail).field("known", known)
}
