//! `/v1/sessions`: create one, and read, change, renew or end the caller's own.

mod bearer;
mod create;
mod current;
mod renew;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use mainstay::session::Device;
use serde_json::{Value, json};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/sessions", post(create::create))
        .route(
            "/v1/sessions/current",
            get(current::read)
                .patch(current::change)
                .delete(current::end),
        )
        .route("/v1/sessions/current:rotate", post(renew::rotate))
        .route(
            "/v1/sessions/current:authenticate-again",
            post(renew::authenticate_again),
        )
        .route(
            "/v1/sessions/current:revoke-others",
            post(current::revoke_others),
        )
        .layer(map_response(no_store))
}

/// Keeps what says who is logged in out of every cache on the way.
pub(super) async fn no_store(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Where a session is used from; what is not known is null.
pub(super) fn device(device: &Device) -> Value {
    json!({"user_agent": device.user_agent, "network": device.network})
}
