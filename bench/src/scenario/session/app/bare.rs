//! No sessions: a value of the same size under the key that the cookie has, or nothing that is stored.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use redis::aio::ConnectionLike;

use super::{Answered, Profile, failed, refused, told};

const TTL_SECONDS: u32 = 3_600;

/// Sessions have keys as long as those of others, and are on a connection that all requests share.
pub(super) fn router<C>(connection: C) -> Router
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/log-in/{user}", post(log_in::<C>))
        .route("/me", get(me::<C>))
        .with_state(connection)
}

/// The least that a server does: what the cookie says is believed.
pub(super) fn constant() -> Router {
    let user = |headers: &HeaderMap| Some(cookie(headers)?.to_owned());
    let me = async move |headers: HeaderMap| -> Answered {
        Ok(told(&Profile::of(&user(&headers).ok_or_else(refused)?)))
    };
    let log_in = async |Path(user): Path<String>| set_cookie(&user);
    Router::new()
        .route("/log-in/{user}", post(log_in))
        .route("/me", get(me))
}

async fn log_in<C: ConnectionLike>(
    State(mut connection): State<C>,
    Path(user): Path<String>,
) -> Result<Response, (StatusCode, String)> {
    let value = serde_json::to_vec(&Profile::of(&user)).map_err(failed)?;
    let key = format!("session:{:032x}", rand::random::<u128>());
    let mut command = redis::cmd("SET");
    command.arg(&key).arg(value).arg("EX").arg(TTL_SECONDS);
    let stored: Result<(), _> = command.query_async(&mut connection).await;
    stored.map_err(failed)?;
    Ok(set_cookie(&key))
}

async fn me<C: ConnectionLike>(State(mut connection): State<C>, headers: HeaderMap) -> Answered {
    let key = cookie(&headers).ok_or_else(refused)?;
    let value = redis::cmd("GET")
        .arg(key)
        .query_async(&mut connection)
        .await;
    let value: Option<Bytes> = value.map_err(failed)?;
    let value = value.ok_or_else(refused)?;
    Ok(([(CONTENT_TYPE, "application/json")], value).into_response())
}

fn set_cookie(value: &str) -> Response {
    [(SET_COOKIE, format!("id={value}"))].into_response()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers.get(COOKIE)?.to_str().ok()?.strip_prefix("id=")
}
