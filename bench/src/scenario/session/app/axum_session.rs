//! `axum_session` on its pool of Redis connections.

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use axum_session::{Session, SessionConfig, SessionLayer, SessionStore};
use axum_session_redispool::SessionRedisPool;
use redis_pool::SingleRedisPool;
use time::Duration;

use super::{Answered, Profile, refused, told};
use crate::Outcome;

const PROFILE: &str = "profile";
/// As many as there are callers.
const CONNECTIONS: usize = 64;

/// Sessions that the process remembers: Redis is read when it has none, and written every ten seconds.
pub(super) async fn router(url: &str) -> Outcome<Router> {
    with(url, SessionConfig::default()).await
}

/// Sessions that the process forgets after each request, so that processes can share them.
pub(super) async fn unremembered(url: &str) -> Outcome<Router> {
    let config = SessionConfig::default();
    with(url, config.with_memory_lifetime(Duration::ZERO)).await
}

async fn with(url: &str, config: SessionConfig) -> Outcome<Router> {
    // Those beyond its size are opened and closed for each use.
    let pool = SingleRedisPool::new(redis::Client::open(url)?, CONNECTIONS, Some(CONNECTIONS));
    let store = SessionStore::<SessionRedisPool>::new(Some(pool.into()), config).await?;
    Ok(Router::new()
        .route("/log-in/{user}", post(log_in))
        .route("/me", get(me))
        .layer(SessionLayer::new(store)))
}

async fn log_in(Path(user): Path<String>, session: Session<SessionRedisPool>) {
    session.set(PROFILE, Profile::of(&user));
}

async fn me(session: Session<SessionRedisPool>) -> Answered {
    let profile: Option<Profile> = session.get(PROFILE);
    Ok(told(&profile.ok_or_else(refused)?))
}
