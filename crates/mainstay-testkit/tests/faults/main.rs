//! What must hold while servers, connections and replies are lost.
//!
//! Runs in a short form; with `MAINSTAY_CHAOS=full` in a long one.

#![expect(clippy::unwrap_used, reason = "what the tests share fails as they do")]

mod cache;
mod cluster;
mod http;
mod limits;
mod link;
mod locks;
mod pushes;
mod queues;
mod realtime;
mod replies;
mod sentinel;
mod sessions;
mod worker;

use std::env;
use std::future::Future;
use std::time::Duration;

use mainstay::{Mainstay, Options, Result};
use mainstay_testkit::fixture::{Flavor, Persistence, Server};
use tokio::time::{Instant, timeout};

/// What a call may take, as configured.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// What scheduling may add to that.
const SLACK: Duration = Duration::from_millis(500);
/// How soon after the server's return everything must work.
const RECOVERY: Duration = Duration::from_secs(2);
/// How soon a loss must be seen.
const NOTICE: Duration = Duration::from_secs(3);
/// Longer than anything that is going to happen at all.
const BOUND: Duration = Duration::from_secs(30);

/// `short`, or `full` when the long form was asked for.
fn extent<T>(short: T, full: T) -> T {
    match env::var("MAINSTAY_CHAOS").as_deref() {
        Ok("full") => full,
        Ok(other) => panic!("MAINSTAY_CHAOS is {other:?}: expected full"),
        Err(_) => short,
    }
}

async fn connect(url: &str) -> Mainstay {
    let options = Options::new().command_timeout(COMMAND_TIMEOUT);
    options.connect(url).await.unwrap()
}

/// A server that remembers over a restart.
async fn durable(flavor: Flavor) -> Server {
    let builder = Server::builder(flavor).persistence(Persistence::Aof);
    builder.start().await
}

/// A login that may do what the rules say; it goes before the address in a URL.
async fn login(server: &Server, rules: &[&str]) -> &'static str {
    let words = [&["ACL", "SETUSER", "app", "on", ">pw"], rules].concat();
    assert_eq!(server.command(&words).await.text(), "OK");
    "app:pw@"
}

/// Awaits a call; panics when it takes longer than a call may.
async fn in_time<T>(what: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
    let before = Instant::now();
    let answered = timeout(COMMAND_TIMEOUT + SLACK, call).await;
    answered.unwrap_or_else(|_| panic!("{what} hangs: no answer for {:?}", before.elapsed()))
}

/// Stamps each `async fn(Flavor)` as a test on a Redis and on a Valkey server.
macro_rules! on_both_flavors {
    ($($name:ident)*) => {
        mod redis {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(mainstay_testkit::fixture::Flavor::Redis).await;
            }
        )*}
        mod valkey {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(mainstay_testkit::fixture::Flavor::Valkey).await;
            }
        )*}
    };
}
use on_both_flavors;
