//! What it costs to read a value, its remaining time, and the promise to be told of its change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_testkit::fixture::{Flavor, Server};
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};

use super::connection;
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

const KEYS: usize = 10_000;

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let bare = connection::bare(&url).await?;
    let keys: Arc<Vec<String>> = Arc::new((0..KEYS).map(|key| format!("user-{key}")).collect());
    for key in keys.iter() {
        connection::set(&bare, key, &[b'x'; 100]).await?;
    }
    let contestants = [
        reads(
            "tracking, PTTL+GET",
            tracking(&url, &["ON"]).await?,
            &keys,
            with_ttl,
        ),
        reads(
            "optin, CACHING+MULTI",
            tracking(&url, &["ON", "OPTIN"]).await?,
            &keys,
            opted_in,
        ),
        reads(
            "untracked PTTL+GET",
            untracked(&url).await?,
            &keys,
            with_ttl,
        ),
        reads("untracked GET", untracked(&url).await?, &keys, alone),
    ];
    let mut rows = Vec::new();
    for callers in [1, 64, 512] {
        rows.extend(compare(plan, "read", callers, &contestants).await?);
    }
    Ok(rows)
}

/// A RESP3 connection of its own; invalidations are dropped.
async fn untracked(url: &str) -> Outcome<MultiplexedConnection> {
    connection::bare(&format!("{url}?protocol=resp3")).await
}

async fn tracking(url: &str, words: &[&str]) -> Outcome<MultiplexedConnection> {
    let connection = untracked(url).await?;
    let mut command = redis::cmd("CLIENT");
    command.arg("TRACKING").arg(words);
    connection::send(connection.clone(), &command).await?;
    Ok(connection)
}

fn alone(key: &str) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd("GET").arg(key);
    pipeline
}

fn with_ttl(key: &str) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd("PTTL").arg(key).ignore();
    pipeline.cmd("GET").arg(key);
    pipeline
}

/// `CLIENT CACHING` holds for the next command: the transaction makes both reads that one.
fn opted_in(key: &str) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.cmd("CLIENT").arg("CACHING").arg("YES").ignore();
    pipeline.cmd("MULTI").ignore();
    pipeline.cmd("PTTL").arg(key).ignore();
    pipeline.cmd("GET").arg(key).ignore();
    pipeline.cmd("EXEC");
    pipeline
}

/// Reads one key after the other.
fn reads(
    name: &'static str,
    connection: MultiplexedConnection,
    keys: &Arc<Vec<String>>,
    read: fn(&str) -> Pipeline,
) -> Contestant {
    let keys = Arc::clone(keys);
    let next = Arc::new(AtomicUsize::new(0));
    Contestant::new(name, move |_| {
        let (mut connection, keys) = (connection.clone(), Arc::clone(&keys));
        let index = next.fetch_add(1, Ordering::Relaxed) % KEYS;
        async move {
            let replies: Vec<Value> = read(&keys[index]).query_async(&mut connection).await?;
            found(&replies).ok_or_else(|| format!("{name} answered {replies:?}").into())
        }
    })
}

/// The value in the last reply, which may be a transaction's.
fn found(replies: &[Value]) -> Option<()> {
    match replies.last()? {
        Value::BulkString(value) => (value.len() == 100).then_some(()),
        Value::Array(replies) => found(replies),
        _ => None,
    }
}
