//! What is measured, one file a scenario.

pub mod get;
pub mod http;
pub mod limit;
pub mod lock;
pub mod memory;

use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::Outcome;

/// A bare connection of the client library, as the raw limit.
async fn bare(url: &str) -> Outcome<MultiplexedConnection> {
    Ok(redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?)
}

/// Loads a script and gives its digest.
async fn load(connection: &mut MultiplexedConnection, source: &str) -> Outcome<String> {
    Ok(redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(source)
        .query_async(connection)
        .await?)
}

/// Sends a command and drops its reply.
async fn send(mut connection: MultiplexedConnection, command: &redis::Cmd) -> Outcome<()> {
    let _reply: Value = command.query_async(&mut connection).await?;
    Ok(())
}
