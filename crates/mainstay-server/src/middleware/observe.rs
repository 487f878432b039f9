//! One span and one measurement a request, and a header on each answer.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Level};

use crate::metrics::{DURATION, REQUESTS};
use crate::problem::Code;

/// What a handler calls its route where the router knows only a part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteLabel(pub(crate) &'static str);

/// Records method, route, status and latency; never a path, query, key or id.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::span!(
        Level::INFO,
        "request",
        method,
        route = Empty,
        status = Empty,
        code = Empty,
        latency_ms = Empty,
    );
    let mut response = next.run(request).instrument(span.clone()).await;

    let latency = started.elapsed();
    let route = match (response.extensions().get::<RouteLabel>(), &matched) {
        (Some(RouteLabel(label)), _) => (*label).to_owned(),
        (None, Some(path)) => path.as_str().to_owned(),
        (None, None) => "unmatched".to_owned(),
    };
    let status = response.status();
    span.record("route", &route);
    span.record("status", status.as_u16());
    span.record("latency_ms", latency.as_secs_f64() * 1e3);
    if let Some(Code(code)) = response.extensions().get() {
        span.record("code", code);
    }
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!("answered");
        } else {
            tracing::debug!("answered");
        }
    });
    let labels = [
        ("method", method.to_owned()),
        ("route", route),
        ("status", status.as_u16().to_string()),
    ];
    metrics::counter!(REQUESTS, &labels).increment(1);
    metrics::histogram!(DURATION, &labels).record(latency);

    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A method of few, so that a client cannot make time series.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
