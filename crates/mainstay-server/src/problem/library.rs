//! The library's errors as problems.

use std::time::Duration;

use axum::http::StatusCode;
use mainstay::{Error, ErrorKind};

use super::Problem;

const PAUSE: Duration = Duration::from_secs(1);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        if error.kind() == ErrorKind::Invalid {
            return Self::invalid(detail);
        }
        tracing::warn!(error = &error as &dyn std::error::Error, kind = ?error.kind(), "call failed");
        match error.kind() {
            ErrorKind::Unavailable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "backend_unavailable",
                "The backend cannot be reached; nothing took effect",
                detail,
            )
            .retry_after(PAUSE),
            ErrorKind::Unknown => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "outcome_unknown",
                "The backend's reply was lost; the request may have taken effect",
                detail,
            )
            .retry_after(PAUSE),
            ErrorKind::Refused => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "backend_refused",
                "The backend refused",
                detail,
            ),
            ErrorKind::Unsupported => Self::new(
                StatusCode::NOT_IMPLEMENTED,
                "unsupported",
                "The backend cannot do this",
                detail,
            ),
            ErrorKind::Codec | ErrorKind::Corrupt => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "corrupt",
                "What is stored cannot be read",
                detail,
            ),
            _ => Self::internal(detail),
        }
    }
}
