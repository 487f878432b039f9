//! A time by which a request is answered.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::problem::Problem;

/// Answers `timeout` after the configured time.
pub(crate) async fn limit(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    within(app.request_timeout(), next.run(request)).await
}

/// The future's output, unless it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    future: impl Future<Output = T>,
) -> Result<T, Problem> {
    tokio::time::timeout(limit, future).await.map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "The request took too long",
            format!(
                "no answer within {}; the request may have taken effect",
                humantime::format_duration(limit)
            ),
        )
    })
}
