//! Envoy's rate limit service: `ShouldRateLimit` over gRPC, and the same as JSON at `POST /json`.

mod answer;
mod ask;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use mainstay::ErrorKind;
use mainstay_envoy::v3::rate_limit_response::Code;
use mainstay_envoy::v3::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use mainstay_envoy::v3::{RateLimitRequest, RateLimitResponse};
use tonic::Status;

use self::ask::Asked;
use crate::app::App;
use crate::extract::JsonBody;
use crate::problem::Problem;

pub(super) fn routes(app: &App) -> Router<App> {
    let service = RateLimitServiceServer::new(Service(app.clone()))
        .max_decoding_message_size(app.config.max_body_bytes);
    Router::new()
        .route_service(
            "/envoy.service.ratelimit.v3.RateLimitService/{method}",
            service,
        )
        .route("/json", post(json))
}

/// Why a request gets no decision.
enum Refusal {
    /// What is wrong with it.
    Invalid(String),
    Failed(mainstay::Error),
}

impl From<mainstay::Error> for Refusal {
    fn from(error: mainstay::Error) -> Self {
        Self::Failed(error)
    }
}

async fn decide(app: &App, request: &RateLimitRequest) -> Result<RateLimitResponse, Refusal> {
    let table = app.limits.current();
    let asked = Asked::of(&table, &app.stay, request)?;
    let decision = asked.decide().await?;
    Ok(answer::response(&asked, decision.as_ref()))
}

struct Service(App);

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(
        &self,
        request: tonic::Request<RateLimitRequest>,
    ) -> Result<tonic::Response<RateLimitResponse>, Status> {
        let response = decide(&self.0, request.get_ref()).await;
        response.map(tonic::Response::new).map_err(Status::from)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let error = match refusal {
            Refusal::Invalid(why) => return Self::invalid_argument(why),
            Refusal::Failed(error) => error,
        };
        let why = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => Self::invalid_argument(why),
            ErrorKind::Unavailable | ErrorKind::Unknown => Self::unavailable(why),
            _ => Self::internal(why),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(why) => Self::invalid(why),
            Refusal::Failed(error) => error.into(),
        }
    }
}

async fn json(
    State(app): State<App>,
    JsonBody(request): JsonBody<RateLimitRequest>,
) -> Result<Response, Problem> {
    let response = decide(&app, &request).await?;
    let status = match response.overall_code() {
        Code::OverLimit => StatusCode::TOO_MANY_REQUESTS,
        Code::Ok | Code::Unknown => StatusCode::OK,
    };
    Ok((status, Json(response)).into_response())
}
