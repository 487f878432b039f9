//! Asks for an API key, when there are any.

use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::ApiKeyHash;
use crate::app::App;
use crate::problem::Problem;

const HEADER: &str = "x-api-key";

pub(crate) async fn check(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let known = &app.config.api_keys;
    if known.is_empty() || is_probe(request.uri()) {
        return Ok(next.run(request).await);
    }
    let given = request.headers().get(HEADER);
    if given.is_some_and(|key| ApiKeyHash::any_matches(known, key.as_bytes())) {
        return Ok(next.run(request).await);
    }
    let detail = match given {
        None => "send an API key in the header X-Api-Key",
        Some(_) => "the API key in X-Api-Key is not known here",
    };
    Err(Problem::new(
        StatusCode::UNAUTHORIZED,
        "api_key_required",
        "An API key is required",
        detail,
    )
    .header(header::WWW_AUTHENTICATE, "ApiKey realm=\"mainstay\""))
}

/// Probes carry no key, and so learn no details: `?verbose` is not exempt.
fn is_probe(uri: &Uri) -> bool {
    matches!(uri.path(), "/livez" | "/readyz") && uri.query().is_none()
}
