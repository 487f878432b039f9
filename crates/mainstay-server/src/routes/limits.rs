//! `POST /v1/limits/{policy}:check`: asks whether a subject may go on.

use axum::extract::State;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use mainstay::ratelimit::{Limiter, Quota, RetryAfter};
use serde::Deserialize;
use serde_json::json;

use super::no_verb;
use crate::app::App;
use crate::extract::{JsonBody, Query, verb};
use crate::middleware::RouteLabel;
use crate::problem::{Problem, millis_up, seconds_up};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const LABEL: RouteLabel = RouteLabel("/v1/limits/{policy}:check");

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/limits/{policy_and_verb}", post(check))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    subject: String,
    #[serde(default = "one")]
    cost: u64,
}

fn one() -> u64 {
    1
}

async fn check(
    State(app): State<App>,
    uri: Uri,
    body: Result<JsonBody<Check>, Problem>,
) -> Result<Response, Problem> {
    Query::of(&uri, &[])?;
    let Some((name, "check")) = verb(&uri, 2)? else {
        return Err(no_verb(":check"));
    };
    let mut response = match decide(&app, &name, body).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(LABEL);
    Ok(response)
}

async fn decide(
    app: &App,
    name: &str,
    body: Result<JsonBody<Check>, Problem>,
) -> Result<Response, Problem> {
    let limiter = app.limiters.get(name).ok_or_else(|| unknown(app))?;
    let JsonBody(check) = body?;
    let decision = limiter.check_cost(&check.subject, check.cost).await?;
    let quota = decision.tightest();
    let (remaining, reset_after) = (quota.remaining, quota.reset_after);
    let mut response = match quota.retry_after {
        None => {
            let answer = json!({
                "allowed": true,
                "limit": quota.limit,
                "remaining": remaining,
                "reset_after_ms": millis_up(reset_after),
            });
            Json(answer).into_response()
        }
        Some(retry_after) => {
            let problem = denied(retry_after)
                .field("allowed", false)
                .field("limit", quota.limit)
                .field("remaining", remaining)
                .field("reset_after_ms", millis_up(reset_after));
            problem.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(POLICY, policy_header(limiter)?);
    headers.insert(LIMIT, limit_header(quota)?);
    Ok(response)
}

fn denied(retry_after: RetryAfter) -> Problem {
    let title = "Too many requests";
    match retry_after {
        RetryAfter::After(after) => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            title,
            "the limit is used up; retry_after_ms says when the same call fits",
        )
        .retry_after(after),
        RetryAfter::Never => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "cost_above_limit",
            title,
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

/// The IETF draft's fields (draft-ietf-httpapi-ratelimit-headers).
fn policy_header(limiter: &Limiter) -> Result<HeaderValue, Problem> {
    let policies = limiter.policies().iter().map(|policy| {
        let (name, quota) = (policy.name(), policy.limit());
        format!("\"{name}\";q={quota};w={}", seconds_up(policy.period()))
    });
    header(&policies.collect::<Vec<_>>().join(", "))
}

fn limit_header(quota: &Quota) -> Result<HeaderValue, Problem> {
    header(&format!(
        "\"{}\";r={};t={}",
        quota.policy,
        quota.remaining,
        seconds_up(quota.reset_after)
    ))
}

fn header(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text).map_err(|_| Problem::internal("a policy's name fits no header"))
}
