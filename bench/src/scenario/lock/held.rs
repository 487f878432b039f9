//! Ten thousand locks that are held: what it costs to renew them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use mainstay::Mainstay;
use mainstay::lock::{Acquire, LockGuard};
use mainstay_testkit::fixture::{Flavor, Server};
use redis::aio::MultiplexedConnection;
use tokio::task::AbortHandle;

use super::contended::commands;
use super::{KEPT_MS, scripts};
use crate::Outcome;
use crate::fact::Fact;
use crate::latency::Latencies;
use crate::measure::{Contestant, Measured, Plan, Row, compare};
use crate::processor;
use crate::scenario::connection::{bare, load, send};

const LOCKS: usize = 10_000;
const TTL: Duration = Duration::from_secs(30);
/// All of them are renewed once in it.
const PERIOD: Duration = Duration::from_secs(10);
/// Both ways, twice.
const PLAN: Plan = Plan {
    seconds: PERIOD.as_secs() as f64,
    rounds: 2,
};

pub(super) async fn run() -> Outcome<Vec<Row>> {
    let contestants = [
        Contestant::measured("mainstay, one task", |round| async move {
            let server = Server::start(Flavor::Redis).await;
            let stay = Mainstay::connect(&server.url()).await?;
            let guards = iter(0..LOCKS).map(|number| {
                let stay = stay.clone();
                async move {
                    let lock = stay.lock(&format!("held/{number}")).ttl(TTL).build()?;
                    match lock.try_acquire().await? {
                        Acquire::Acquired(guard) => Outcome::Ok(guard),
                        Acquire::Held { .. } => Err("another holds it".into()),
                    }
                }
            });
            let guards: Vec<_> = guards.buffered(64).try_collect().await?;
            let measured = observe(&server, round.length).await?;
            if guards.iter().any(LockGuard::is_lost) {
                return Err("a lock was lost".into());
            }
            Ok(measured)
        }),
        Contestant::measured("a timer and an EVALSHA each", |round| async move {
            let server = Server::start(Flavor::Redis).await;
            let connection = bare(&server.url()).await?;
            let timers = timers(connection).await?;
            let measured = observe(&server, round.length).await;
            for timer in timers {
                timer.abort();
            }
            measured
        }),
    ];
    compare(&PLAN, "10,000 held", LOCKS, &contestants).await
}

/// What others do: each lock has a task that renews it.
async fn timers(mut connection: MultiplexedConnection) -> Outcome<Vec<AbortHandle>> {
    let renew: Arc<str> = load(&mut connection, &scripts::renew()).await?.into();
    let mut timers = Vec::with_capacity(LOCKS);
    for number in 0..LOCKS {
        let name = format!("lock:raw-{number}");
        let mut set = redis::cmd("SET");
        set.arg(&name)
            .arg("owner")
            .arg("PX")
            .arg(TTL.as_millis() as u64);
        send(connection.clone(), &set).await?;
        let (connection, renew) = (connection.clone(), Arc::clone(&renew));
        let first = PERIOD * number as u32 / LOCKS as u32;
        let timer = tokio::spawn(async move {
            let mut wait = first;
            loop {
                tokio::time::sleep(wait).await;
                let mut command = redis::cmd("EVALSHA");
                command.arg(&*renew).arg(2).arg(&name);
                command.arg(format!("{{{name}}}:f")).arg("owner");
                command.arg(TTL.as_millis() as u64).arg(KEPT_MS);
                if let Err(error) = send(connection.clone(), &command).await {
                    eprintln!("not renewed: {error}");
                    return;
                }
                wait = PERIOD;
            }
        });
        timers.push(timer.abort_handle());
    }
    Ok(timers)
}

/// Commands a second, and the processor time that this process and the server take.
async fn observe(server: &Server, length: Duration) -> Outcome<Measured> {
    let before = (
        commands(server, &["evalsha", "eval"]).await,
        processor::of_both(server).await?,
    );
    let began = Instant::now();
    tokio::time::sleep(length).await;
    let elapsed = began.elapsed();
    let after = (
        commands(server, &["evalsha", "eval"]).await,
        processor::of_both(server).await?,
    );
    let share = |before: f64, after: f64| 100.0 * (after - before) / elapsed.as_secs_f64();
    let sent = Measured::new(&Latencies::new()?, elapsed);
    Ok(Measured {
        per_second: (after.0 - before.0) as f64 / elapsed.as_secs_f64(),
        ..sent
    }
    .with_fact(Fact::Cpu {
        process: share(before.1.0, after.1.0),
        server: share(before.1.1, after.1.1),
    }))
}
