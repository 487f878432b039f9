//! Tells gRPC clients of refusals in the way that they read.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tonic::{Code, Status};

use crate::problem;

/// A problem becomes a status: without one, clients know no more than that something was wrong.
pub(crate) async fn translate(request: Request, next: Next) -> Response {
    let is_grpc = is_grpc(request.headers());
    let response = next.run(request).await;
    let code = response.extensions().get::<problem::Code>().copied();
    let Some(problem::Code(word)) = code.filter(|_| is_grpc) else {
        return response;
    };
    let status = Status::new(code_of(response.status()), word);
    let mut translated: Response = status.into_http();
    translated.extensions_mut().insert(problem::Code(word));
    translated
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    }
}
