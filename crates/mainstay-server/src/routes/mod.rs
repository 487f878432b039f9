//! The routes: one file an area.

mod cache;
mod envoy;
mod events;
mod index;
mod limits;
mod locks;
mod probes;
mod queues;
mod sessions;
mod stream;
mod users;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::app::App;
use crate::middleware::{check_api_key, check_host, limit_time, observe, translate_for_grpc};
use crate::problem::Problem;

pub(crate) fn router(app: &App) -> Router {
    let timed = Router::new()
        .merge(index::routes())
        .merge(probes::routes())
        .merge(cache::routes())
        .merge(sessions::routes())
        .merge(users::routes())
        .merge(events::routes())
        .merge(stream::routes())
        .merge(queues::routes())
        .merge(limits::routes())
        .merge(envoy::routes(app))
        .layer(from_fn_with_state(app.clone(), limit_time));
    Router::new()
        .merge(timed)
        .merge(locks::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), check_api_key))
        .layer(from_fn_with_state(app.clone(), check_host))
        .layer(from_fn(translate_for_grpc))
        .layer(from_fn(observe))
        .with_state(app.clone())
}

async fn no_route() -> Problem {
    Problem::not_found(
        "no_such_route",
        "nothing is here: GET / lists what there is",
    )
}

async fn wrong_method() -> Problem {
    method_not_allowed()
}

fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This route does not have this method",
        "the header Allow lists the methods of this route",
    )
}

/// The last segment of a route with verbs had none of them.
fn no_verb(verbs: &str) -> Problem {
    Problem::not_found(
        "no_such_route",
        format!("write one of {verbs} after the name"),
    )
}
