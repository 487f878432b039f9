//! Acquire and release of a lock that nobody else wants, each caller one of its own.

use std::time::Duration;

use mainstay::Mainstay;
use mainstay::lock::Acquire;
use mainstay_testkit::fixture::{Flavor, Server};
use redis::aio::MultiplexedConnection;
use rslock::LockManager;
use serde_json::json;

use super::{KEPT_MS, peers, scripts};
use crate::Outcome;
use crate::measure::{Contestant, Measured, Plan, Row, compare};
use crate::scenario::connection::{bare, load, send};

const TTL: Duration = Duration::from_secs(30);

pub(super) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await?;
    let mut contestants = vec![
        Contestant::new("mainstay", move |caller| {
            let stay = stay.clone();
            async move {
                let lock = stay.lock(&format!("ours-{caller}")).ttl(TTL).build()?;
                match lock.try_acquire().await? {
                    Acquire::Acquired(guard) => guard.release().await?,
                    Acquire::Held { .. } => return Err("an uncontended lock was held".into()),
                };
                Ok(())
            }
        }),
        rslock(&server.url()),
    ];
    for (name, process) in peers(&server, with_scripts).await? {
        contestants.push(Contestant::measured(name, move |round| {
            let process = process.clone();
            async move {
                let seconds = round.length.as_secs_f64();
                let request = json!({"do": "pairs", "callers": round.callers, "seconds": seconds});
                let answer = process.lock().await.ask(&request, round.length).await?;
                let figure = |name: &str| answer.get(name)?.as_f64();
                let measured = || {
                    Some(Measured {
                        per_second: figure("per_second")?,
                        p50_us: figure("p50_us")?,
                        p99_us: figure("p99_us")?,
                        fact: None,
                    })
                };
                measured().ok_or_else(|| format!("a round gave {answer}").into())
            }
        }));
    }
    contestants.push(raw(bare(&server.url()).await?).await?);
    let mut rows = Vec::new();
    for callers in [1, 8, 64] {
        rows.extend(compare(plan, "uncontended", callers, &contestants).await?);
    }
    Ok(rows)
}

fn rslock(url: &str) -> Contestant {
    let manager = LockManager::new(vec![url]);
    Contestant::new("rslock", move |caller| {
        let manager = manager.clone();
        async move {
            let name = format!("rslock-{caller}");
            let lock = manager.lock(name.as_bytes(), TTL).await?;
            manager.unlock(&lock).await;
            Ok(())
        }
    })
}

/// The same two scripts through the bare client.
async fn raw(mut connection: MultiplexedConnection) -> Outcome<Contestant> {
    let acquire = load(&mut connection, &scripts::acquire()).await?;
    let release = load(&mut connection, &scripts::release()).await?;
    Ok(Contestant::new("redis-rs 2 x EVALSHA", move |caller| {
        let connection = connection.clone();
        let (acquire, release) = (acquire.clone(), release.clone());
        async move {
            let name = format!("lock:raw-{caller}");
            let keys = [
                name.clone(),
                format!("{{{name}}}:f"),
                format!("{{{name}}}:q"),
                format!("{{{name}}}:p"),
            ];
            let (owner, channel) = ("1.0123456789abcdefghijkl", format!("{{{name}}}:w"));
            let mut first = redis::cmd("EVALSHA");
            first.arg(acquire).arg(keys.len()).arg(&keys);
            first.arg(owner).arg(TTL.as_millis() as u64).arg("host:1");
            first.arg(KEPT_MS).arg(0).arg(&channel).arg(1).arg(1);
            send(connection.clone(), &first).await?;
            let mut second = redis::cmd("EVALSHA");
            second.arg(release).arg(keys.len()).arg(&keys);
            second.arg(owner).arg(&channel).arg(KEPT_MS);
            send(connection, &second).await
        }
    }))
}
