//! tower-sessions, with the pool of connections that its store's documentation has.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};

use super::{Answered, Profile, failed, refused, told};
use crate::Outcome;

const PROFILE: &str = "profile";
const CONNECTIONS: usize = 6;

/// Sessions that are written when they change: reading one is no activity.
pub(super) async fn router(url: &str) -> Outcome<Router> {
    Ok(behind(SessionManagerLayer::new(store(url).await?)))
}

/// Sessions that are written at every request, so that they end by what is not used.
pub(super) async fn saving(url: &str) -> Outcome<Router> {
    let layer = SessionManagerLayer::new(store(url).await?);
    Ok(behind(layer.with_always_save(true)))
}

async fn store(url: &str) -> Outcome<RedisStore<Pool>> {
    let pool = Pool::new(Config::from_url(url)?, None, None, None, CONNECTIONS)?;
    // The task ends with the process.
    drop(pool.connect());
    pool.wait_for_connect().await?;
    Ok(RedisStore::new(pool))
}

fn behind(layer: SessionManagerLayer<RedisStore<Pool>>) -> Router {
    Router::new()
        .route("/log-in/{user}", post(log_in))
        .route("/me", get(me))
        .layer(layer)
}

async fn log_in(Path(user): Path<String>, session: Session) -> Result<(), (StatusCode, String)> {
    let stored = session.insert(PROFILE, Profile::of(&user)).await;
    stored.map_err(failed)
}

async fn me(session: Session) -> Answered {
    let profile: Option<Profile> = session.get(PROFILE).await.map_err(failed)?;
    Ok(told(&profile.ok_or_else(refused)?))
}
