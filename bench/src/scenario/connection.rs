//! Bare connections of the client library, as the raw limit.

use std::num::NonZeroUsize;

use bytes::Bytes;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::caching::CacheConfig;
use redis::{AsyncConnectionConfig, Cmd, Value};

use crate::Outcome;

pub(crate) async fn bare(url: &str) -> Outcome<MultiplexedConnection> {
    Ok(redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?)
}

/// A bare connection as mainstay has them, and what keeps it open.
pub(crate) async fn raw_link(
    url: &str,
) -> Outcome<(
    impl ConnectionLike + Clone + Send + Sync + use<>,
    impl Send + use<>,
)> {
    Ok(mainstay::raw_link(url, drop).await?)
}

/// Answers from the library's own client-side cache where it can.
pub(crate) async fn with_client_cache(url: &str, keys: usize) -> Outcome<MultiplexedConnection> {
    let size = NonZeroUsize::new(keys).ok_or("a cache for no keys")?;
    let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new().set_size(size));
    Ok(redis::Client::open(format!("{url}?protocol=resp3"))?
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

/// Loads a script and gives its digest.
pub(crate) async fn load(connection: &mut MultiplexedConnection, source: &str) -> Outcome<String> {
    Ok(redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(source)
        .query_async(connection)
        .await?)
}

/// Sends a command and drops its reply.
pub(crate) async fn send(mut connection: MultiplexedConnection, command: &Cmd) -> Outcome<()> {
    let _reply: Value = command.query_async(&mut connection).await?;
    Ok(())
}

pub(crate) async fn get(connection: &MultiplexedConnection, key: &str) -> Outcome<Option<Bytes>> {
    let mut connection = connection.clone();
    Ok(redis::cmd("GET")
        .arg(key)
        .query_async(&mut connection)
        .await?)
}

/// Sets a key for an hour.
pub(crate) async fn set(
    connection: &MultiplexedConnection,
    key: &str,
    value: &[u8],
) -> Outcome<()> {
    let mut command = redis::cmd("SET");
    command.arg(key).arg(value).arg("EX").arg(3600);
    send(connection.clone(), &command).await
}
