//! One lock that everybody wants: from one holder's release to the next one's acquisition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use mainstay::Mainstay;
use mainstay::lock::Acquire;
use mainstay_testkit::fixture::{Flavor, Server};
use rslock::LockManager;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Shared, peers};
use crate::Outcome;
use crate::fact::Fact;
use crate::latency::Latencies;
use crate::measure::{Contestant, Measured, Plan, Row, compare};

const WAITERS: usize = 500;
const TTL: Duration = Duration::from_secs(30);
/// Longer than any round.
const LONG: Duration = Duration::from_secs(600);
/// Until all of them wait.
const SETTLE: Duration = Duration::from_millis(1_500);

/// Commands that callers send, by those who send them; scripts run others on their behalf.
const OURS: &[&str] = &["evalsha", "eval", "subscribe", "unsubscribe"];
const RSLOCK: &[&str] = &["set", "evalsha", "eval"];
/// The server counts what scripts run as well: this one's are what sets its locks.
const REDLOCK: &[&str] = &["evalsha", "eval"];
const PYTHON: &[&str] = &["set", "blpop", "evalsha", "eval"];

/// When each holder had it after the one before had begun to give it up.
#[derive(Clone)]
struct HandOffs(Arc<Mutex<(Instant, Latencies)>>);

impl HandOffs {
    fn new() -> Outcome<Self> {
        let latencies = Latencies::new()?;
        Ok(Self(Arc::new(Mutex::new((Instant::now(), latencies)))))
    }

    /// The lock was acquired, and is about to be released.
    async fn pass_on(&self) {
        let (released, latencies) = &mut *self.0.lock().await;
        latencies.record(released.elapsed());
        *released = Instant::now();
    }

    async fn begin(&self) {
        self.0.lock().await.0 = Instant::now();
    }
}

pub(super) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let server = Arc::new(Server::start(Flavor::Redis).await);
    let ours = Mainstay::connect(&server.url()).await?;
    let mut contestants = Vec::new();
    for (name, process) in peers(&server, with_scripts).await? {
        let server = Arc::clone(&server);
        let sends = match name {
            "redlock (npm)" => REDLOCK,
            "python-redis-lock" => PYTHON,
            other => return Err(format!("what {other} sends is not known").into()),
        };
        contestants.push(Contestant::measured(name, move |round| {
            let (server, process) = (Arc::clone(&server), process.clone());
            async move { of_script(&server, &process, sends, round.callers).await }
        }));
    }
    contestants.insert(0, {
        let server = Arc::clone(&server);
        Contestant::measured("mainstay", move |round| {
            let (server, stay) = (Arc::clone(&server), ours.clone());
            async move { of_mainstay(&server, &stay, round.callers).await }
        })
    });
    contestants.push(Contestant::measured("rslock", move |round| {
        let server = Arc::clone(&server);
        async move { of_rslock(&server, round.callers).await }
    }));
    // However long a round is to be: each hands the lock to all of them once.
    compare(plan, "hand-off", WAITERS, &contestants).await
}

async fn of_mainstay(server: &Server, stay: &Mainstay, waiters: usize) -> Outcome<Measured> {
    let lock = stay.lock("contended").ttl(TTL).build()?;
    let Acquire::Acquired(held) = lock.try_acquire().await? else {
        return Err("somebody holds it".into());
    };
    let release = async move {
        held.release().await?;
        Ok(())
    };
    let wait = |passed: HandOffs| {
        let lock = lock.clone();
        async move {
            let Acquire::Acquired(guard) = lock.acquire(LONG).await? else {
                return Err("it was not waited for long enough".into());
            };
            passed.pass_on().await;
            guard.release().await?;
            Ok(())
        }
    };
    hand_offs(server, OURS, waiters, release, wait).await
}

/// It tries again at random within 200 ms, as is its default, but not only three times.
async fn of_rslock(server: &Server, waiters: usize) -> Outcome<Measured> {
    let manager = LockManager::new(vec![server.url()]);
    let held = manager.lock(&b"contended"[..], TTL).await?;
    let release = async {
        manager.unlock(&held).await;
        Ok(())
    };
    let wait = |passed: HandOffs| {
        let manager = manager.clone();
        async move {
            let lock = manager.acquire_no_guard(&b"contended"[..], TTL).await?;
            passed.pass_on().await;
            manager.unlock(&lock).await;
            Ok(())
        }
    };
    hand_offs(server, RSLOCK, waiters, release, wait).await
}

/// All wait, then the one who holds the lock releases it.
async fn hand_offs<F>(
    server: &Server,
    sends: &[&str],
    waiters: usize,
    release: impl Future<Output = Outcome<()>>,
    wait: impl Fn(HandOffs) -> F,
) -> Outcome<Measured>
where
    F: Future<Output = Outcome<()>> + Send + 'static,
{
    let passed = HandOffs::new()?;
    let tasks: Vec<_> = (0..waiters)
        .map(|_| tokio::spawn(wait(passed.clone())))
        .collect();
    tokio::time::sleep(SETTLE).await;
    let (before, began) = (commands(server, sends).await, Instant::now());
    passed.begin().await;
    release.await?;
    for ended in try_join_all(tasks).await? {
        ended?;
    }
    let elapsed = began.elapsed();
    let sent = commands(server, sends).await - before;
    let measured = Measured::new(&passed.0.lock().await.1, elapsed);
    Ok(measured.with_fact(Fact::Commands(sent as f64 / waiters as f64)))
}

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    latencies_us: Vec<u64>,
}

async fn of_script(
    server: &Server,
    process: &Shared,
    sends: &[&str],
    waiters: usize,
) -> Outcome<Measured> {
    let mut process = process.lock().await;
    let ready = json!({"do": "wait", "waiters": waiters});
    process.ask(&ready, SETTLE).await?;
    let before = commands(server, sends).await;
    let answer = process.ask(&json!({"do": "hand-offs"}), LONG).await?;
    let sent = commands(server, sends).await - before;
    let answer: Answer = serde_json::from_value(answer)?;
    let mut latencies = Latencies::new()?;
    for latency in answer.latencies_us {
        latencies.record(Duration::from_micros(latency));
    }
    let measured = Measured::new(&latencies, Duration::from_secs_f64(answer.seconds));
    Ok(measured.with_fact(Fact::Commands(sent as f64 / waiters as f64)))
}

/// How often the server has run any of these.
pub(super) async fn commands(server: &Server, names: &[&str]) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).await;
    let calls = stats.text().lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = rest.strip_prefix("calls=")?.split(',').next()?;
        names.contains(&name).then(|| calls.parse::<u64>().ok())?
    });
    calls.sum()
}
