//! What the cache promises, under everything that may go wrong.

mod announced;
mod full;
mod outage;
mod overtaken;
mod owed;
mod primacy;
mod quiesce;
mod servers;
mod shapes;
mod staleness;
mod stampede;
mod tags;
mod time;
mod volume;
mod waiters;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay::cache::{Cache, Near};
use mainstay::{Mainstay, Options};
use mainstay_testkit::fixture::Server;

/// How old a near hit may be here.
const STALENESS: Duration = Duration::from_secs(2);

const NEAR: Near = Near::new(64 << 20)
    .max_staleness(STALENESS)
    .check_one_in(100);

/// Numbers with a near cache.
fn numbers(stay: &Mainstay) -> Cache<u64> {
    stay.cache("numbers")
        .ttl(Duration::from_secs(300))
        .near(NEAR)
        .build()
        .unwrap()
}

/// A loader of what a source says when it is asked.
fn from_source(source: &Arc<AtomicU64>) -> impl FnOnce() -> Ready + Send + use<> {
    let source = Arc::clone(source);
    move || std::future::ready(Ok(source.load(Ordering::SeqCst)))
}

type Ready = std::future::Ready<Result<u64, io::Error>>;

/// A client of a server of its own that answers fast when it fails.
async fn nimble(url: &str) -> Mainstay {
    let options = Options::new().command_timeout(super::COMMAND_TIMEOUT);
    options.connect(url).await.unwrap()
}

/// A number that the server counts, from a section of `INFO`.
async fn info_number(server: &Server, section: &str, name: &str) -> u64 {
    let info = server.command(&["INFO", section]).await;
    let line = info.text().lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::to_owned)
    });
    line.expect("the server counts it").trim().parse().unwrap()
}

/// All keys that match.
async fn keys(server: &Server, pattern: &str) -> Vec<String> {
    let reply = server.command(&["KEYS", pattern]).await;
    let keys = reply.items().iter().map(|key| key.text().to_owned());
    keys.collect()
}
