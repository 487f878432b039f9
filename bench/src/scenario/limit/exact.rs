//! A decision of the store, each caller a subject of its own, beside the raw `EVALSHA` of the same script
//! and beside other libraries.

use std::sync::Arc;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::ratelimit::Policy;
use mainstay_testkit::fixture::{Flavor, Server};
use redis::aio::MultiplexedConnection;
use serde_json::json;
use tokio::sync::Mutex;

use super::{LIMIT, limitador};
use crate::Outcome;
use crate::fact::Fact;
use crate::measure::{Contestant, Measured, Plan, Row, compare};
use crate::peer::{self, Process};
use crate::processor;
use crate::round;
use crate::scenario::connection::{bare, load, send};

macro_rules! lua {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../crates/mainstay/src/backend/redis/lua/",
            $name
        ))
    };
}

pub(super) const PERIOD: Duration = Duration::from_secs(60);
/// Nothing is gone before it is looked at.
const LONG: Duration = Duration::from_secs(3600);
const WINDOW: &str = concat!(
    lua!("limit_clock.lua"),
    lua!("limit_window.lua"),
    lua!("limit_take.lua")
);
const GCRA: &str = concat!(
    lua!("limit_clock.lua"),
    lua!("limit_gcra.lua"),
    lua!("limit_take.lua")
);

pub(super) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let server = Arc::new(Server::start(Flavor::Redis).await);
    let mut rows = Vec::new();
    let contestants = [
        mainstay(
            &server,
            "mainstay gcra",
            Policy::gcra("g", 1_000_000, PERIOD, LIMIT)?,
        )
        .await?,
        raw(
            &server,
            "redis-rs EVALSHA of gcra",
            GCRA,
            ["gcra", "60000", "1000"],
        )
        .await?,
    ];
    for callers in [1, 64] {
        rows.extend(compare(plan, "gcra", callers, &contestants).await?);
    }
    let window = Policy::window("w", LIMIT, PERIOD)?;
    let mut contestants = vec![mainstay(&server, "mainstay window", window).await?];
    contestants.push(limitador::contestant(&server).await?);
    for peer in peer::for_limits(with_scripts) {
        let process = Process::start(&peer, &server.url(), "-".as_ref()).await?;
        contestants.push(script(peer.name, Arc::new(Mutex::new(process)), &server));
    }
    contestants.push(
        raw(
            &server,
            "redis-rs EVALSHA of window",
            WINDOW,
            ["window", "1000000", "0"],
        )
        .await?,
    );
    for callers in [1, 64] {
        rows.extend(compare(plan, "window", callers, &contestants).await?);
    }
    let stay = Mainstay::connect(&server.url()).await?;
    for row in &mut rows {
        let policy = match row.contestant {
            "mainstay gcra" => Policy::gcra("bytes", 10, LONG, 10)?,
            "mainstay window" => Policy::window("bytes", 10, LONG)?,
            _ => continue,
        };
        if let Some(Fact::Decided { key_bytes, .. }) = &mut row.fact {
            let limiter = stay.limiter(policy);
            limiter.reset("subject-0").await?;
            let decision = limiter.check("subject-0").await?;
            assert!(decision.is_allowed(), "nothing was counted");
            let usage = ["MEMORY", "USAGE", "rl:{subject-0}:bytes"];
            *key_bytes = Some(server.command(&usage).await.integer());
        }
    }
    Ok(rows)
}

/// Callers in this process that decide `batch` times at once, with what a million decisions cost the
/// server.
pub(super) fn callers<F>(
    name: &'static str,
    server: &Arc<Server>,
    batch: u32,
    call: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Contestant
where
    F: Future<Output = Outcome<()>> + Send + 'static,
{
    let (server, call) = (Arc::clone(server), Arc::new(call));
    Contestant::measured(name, move |round| {
        let (server, call) = (Arc::clone(&server), Arc::clone(&call));
        async move {
            let before = processor::of_server(&server).await?;
            let measured = round::on_tasks(call, round).await?;
            let used = processor::of_server(&server).await? - before;
            Ok(with_cost(measured, used / f64::from(batch), round.length))
        }
    })
}

fn with_cost(measured: Measured, server_seconds: f64, length: Duration) -> Measured {
    let decisions = measured.per_second * length.as_secs_f64();
    measured.with_fact(Fact::Decided {
        server_seconds: server_seconds / decisions * 1e6,
        key_bytes: None,
    })
}

async fn mainstay(server: &Arc<Server>, name: &'static str, policy: Policy) -> Outcome<Contestant> {
    let limiter = Mainstay::connect(&server.url()).await?.limiter(policy);
    Ok(callers(name, server, 1, move |caller| {
        let limiter = limiter.clone();
        async move {
            let decision = limiter.check(&format!("subject-{caller}")).await?;
            assert!(decision.is_allowed(), "the limit is out of reach");
            Ok(())
        }
    }))
}

async fn raw(
    server: &Arc<Server>,
    name: &'static str,
    script: &str,
    [algorithm, a, b]: [&'static str; 3],
) -> Outcome<Contestant> {
    let mut connection: MultiplexedConnection = bare(&server.url()).await?;
    let digest = load(&mut connection, script).await?;
    Ok(callers(name, server, 1, move |caller| {
        let (connection, digest) = (connection.clone(), digest.clone());
        async move {
            let mut command = redis::cmd("EVALSHA");
            command
                .arg(digest)
                .arg(1)
                .arg(format!("rl:{{raw-{caller}}}:{algorithm}"));
            command
                .arg(1)
                .arg(algorithm)
                .arg(LIMIT)
                .arg(a)
                .arg(b)
                .arg(0)
                .arg(1);
            send(connection, &command).await
        }
    }))
}

/// A library in another language, which runs its callers itself.
fn script(name: &'static str, process: Arc<Mutex<Process>>, server: &Arc<Server>) -> Contestant {
    let server = Arc::clone(server);
    Contestant::measured(name, move |round| {
        let (process, server) = (Arc::clone(&process), Arc::clone(&server));
        async move {
            let seconds = round.length.as_secs_f64();
            let request = json!({"do": "checks", "callers": round.callers, "seconds": seconds});
            let before = processor::of_server(&server).await?;
            let answer = process.lock().await.ask(&request, round.length).await?;
            let used = processor::of_server(&server).await? - before;
            let figure = |name: &str| {
                let figure = answer.get(name).and_then(serde_json::Value::as_f64);
                figure.ok_or_else(|| format!("a round gave {answer}"))
            };
            let measured = Measured {
                per_second: figure("per_second")?,
                p50_us: figure("p50_us")?,
                p99_us: figure("p99_us")?,
                fact: None,
            };
            Ok(with_cost(measured, used, round.length))
        }
    })
}
