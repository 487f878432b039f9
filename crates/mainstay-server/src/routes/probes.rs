//! Whether the server lives, is ready, and what it counted.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::app::App;
use crate::extract::Query;
use crate::metrics;
use crate::problem::Problem;

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
}

async fn ready(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri, &["verbose"])?;
    let verbose = query.one("verbose")?.is_some();
    if app.closing.is_cancelled() {
        return Err(Problem::shutting_down());
    }
    let report = tokio::time::timeout(PROBE_TIMEOUT, app.stay.health())
        .await
        .map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "backend_unavailable",
                "The backend cannot be reached; nothing took effect",
                "the backend did not answer within 1s",
            )
            .retry_after(PROBE_TIMEOUT)
        })??;
    if !verbose {
        return Ok("ready\n".into_response());
    }
    Ok(Json(json!({
        "backend": app.stay.backend(),
        "server": report.server,
        "version": report.version,
        "round_trip_ms": report.round_trip.as_secs_f64() * 1e3,
        "warnings": report.warnings,
    }))
    .into_response())
}

async fn render() -> Response {
    let text = metrics::handle().render();
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], text).into_response()
}
