//! Every refusal: `application/problem+json` (RFC 9457) with a stable code.

mod library;

use std::time::Duration;

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The code of a problem, for the request's span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str);

/// A refused or failed request.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    /// Where the problem has a type that others know.
    registered: Option<&'static str>,
    title: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    fields: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            registered: None,
            title,
            detail: detail.into(),
            retry_after: None,
            fields: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_input",
            "The request holds something that cannot be accepted",
            detail,
        )
    }

    pub(crate) fn shutting_down() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting_down",
            "The server is shutting down",
            "open requests are finished, new ones belong elsewhere",
        )
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "Not found", detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server failed",
            detail,
        )
    }

    /// Gives it a registered type in the place of our own.
    pub(crate) fn registered(mut self, uri: &'static str) -> Self {
        self.0.registered = Some(uri);
        self
    }

    /// Sets `retry_after_ms` and, in whole seconds rounded up, the header `Retry-After`.
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Adds a field to the document.
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the answer.
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers.insert(name, HeaderValue::from_static(value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner {
            status,
            code,
            registered,
            title,
            detail,
            retry_after,
            fields,
            mut headers,
        } = *self.0;
        let own = format!("urn:mainstay:problem:{code}");
        let mut document = json!({
            "type": registered.unwrap_or(&own),
            "title": title,
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        });
        if let Value::Object(document) = &mut document {
            if let Some(after) = retry_after {
                document.insert("retry_after_ms".into(), millis_up(after).into());
                headers.insert(header::RETRY_AFTER, seconds_up(after).into());
            }
            document.extend(fields);
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        let mut response = (status, headers, document.to_string()).into_response();
        response.extensions_mut().insert(Code(code));
        response
    }
}

/// Whole milliseconds, so that nothing is over before the number says so.
pub(crate) fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Whole milliseconds that have passed, or are surely left.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole seconds, so that nothing is over before the number says so.
pub(crate) fn seconds_up(duration: Duration) -> u64 {
    millis_up(duration).div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_announced_too_short() {
        assert_eq!(millis_up(Duration::from_micros(1)), 1);
        assert_eq!(seconds_up(Duration::from_millis(1_001)), 2);
        assert_eq!(seconds_up(Duration::ZERO), 0);
    }
}
