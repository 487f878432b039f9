//! What a denied request gets (RFC 9457).

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::ratelimit::{Decision, RetryAfter};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Registered for draft-ietf-httpapi-ratelimit-headers.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// `429`, with the policies that deny.
pub(super) fn denied<B: From<String>>(decision: &Decision) -> Response<B> {
    let violated = decision
        .quotas()
        .iter()
        .filter(|it| it.retry_after.is_some());
    let violated: Vec<_> = violated.map(|quota| quota.policy.as_str()).collect();
    let detail = match decision.retry_after() {
        Some(RetryAfter::Never) => "this request never fits: it costs more than the quota",
        _ => "the quota is used up: Retry-After says when the same request fits",
    };
    document(
        StatusCode::TOO_MANY_REQUESTS,
        &json!({
            "type": QUOTA_EXCEEDED,
            "title": "Quota exceeded",
            "status": 429,
            "detail": detail,
            "violated-policies": violated,
        }),
    )
}

/// `503`: nobody can tell whether the request is within its limits.
pub(super) fn undecided<B: From<String>>() -> Response<B> {
    let mut response = document(
        StatusCode::SERVICE_UNAVAILABLE,
        &json!({
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "rate limits cannot be checked now",
        }),
    );
    let soon = HeaderValue::from_static("1");
    response
        .headers_mut()
        .insert(http::header::RETRY_AFTER, soon);
    response
}

fn document<B: From<String>>(status: StatusCode, document: &Value) -> Response<B> {
    let mut response = Response::new(B::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    response
}
