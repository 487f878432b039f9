//! The request's body, up to the limit.

use std::error::Error as _;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::LengthLimitError;

use crate::problem::Problem;

/// Reads a body of at most `max_bytes`.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    max_bytes: usize,
) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    if announced.is_some_and(|announced| announced > limit) {
        return Err(too_large(max_bytes));
    }
    to_bytes(body, max_bytes).await.map_err(|error| {
        let limited = error
            .source()
            .and_then(|source| source.downcast_ref::<LengthLimitError>())
            .is_some();
        if limited {
            too_large(max_bytes)
        } else {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "incomplete_body",
                "The body did not arrive",
                "the body ended before its announced length",
            )
        }
    })
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "The body is too large",
        format!("the body is longer than {max_bytes} bytes"),
    )
    .field("max_bytes", max_bytes)
}
