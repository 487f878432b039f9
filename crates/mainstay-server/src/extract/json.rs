//! JSON bodies.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::app::App;
use crate::problem::Problem;

/// A body of type `application/json`, as a `T`.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        content_type(request.headers(), &["application/json"])?;
        let (parts, body) = request.into_parts();
        let bytes = super::read(&parts.headers, body, app.config.max_body_bytes).await?;
        parse(&bytes).map(Self)
    }
}

/// Which of the `accepted` media types the body has.
///
/// One is always demanded: a page of another site cannot send these without asking first.
pub(crate) fn content_type(
    headers: &HeaderMap,
    accepted: &[&'static str],
) -> Result<&'static str, Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .map(str::trim);
    accepted
        .iter()
        .copied()
        .find(|accepted| given.is_some_and(|given| given.eq_ignore_ascii_case(accepted)))
        .ok_or_else(|| {
            Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body has the wrong content type",
                format!("send the header Content-Type: {}", accepted.join(" or ")),
            )
        })
}

/// Parses JSON; the problem names the place and what is wrong there.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid(error.to_string()),
        Category::Syntax | Category::Eof | Category::Io => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            "The body is not JSON",
            error.to_string(),
        )
        .field("line", error.line())
        .field("column", error.column()),
    })
}
