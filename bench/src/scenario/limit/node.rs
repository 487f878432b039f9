//! Several processes of one prepaid limit, which all ask for more than it admits.

use std::num::NonZeroU32;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mainstay::Mainstay;
use mainstay::ratelimit::{Policy, Source};
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Admission, most_in_any_window};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::prepaid::{LEASE, NODES};
use crate::Outcome;
use crate::fact::Fact;
use crate::latency::Latencies;
use crate::measure::{Contestant, Measured, Plan, Row, compare};

const LIMIT: u64 = 10_000;
const PERIOD: Duration = Duration::from_secs(1);
/// Of the window, at least.
const SHORTEST: Duration = Duration::from_secs(3);

/// What one process has seen.
#[derive(Serialize, Deserialize)]
struct Seen {
    decisions: u64,
    p50_us: f64,
    p99_us: f64,
    /// By the store's clock, in microseconds.
    admitted: Vec<u64>,
}

pub(super) async fn run() -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let contestant = Contestant::measured("mainstay prepaid", move |round| {
        let (url, length) = (url.clone(), round.length.max(SHORTEST));
        async move {
            let nodes = (0..NODES).map(|_| {
                let mut command = Command::new(std::env::current_exe()?);
                let seconds = length.as_secs_f64().to_string();
                command.args(["--node", url.as_str(), &seconds]);
                Ok(command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?)
            });
            let nodes: Outcome<Vec<_>> = nodes.collect();
            let mut all = Vec::new();
            for node in nodes? {
                let output = node.wait_with_output().await?;
                all.push(serde_json::from_slice::<Seen>(&output.stdout)?);
            }
            Ok(judged(&all, length))
        }
    });
    let once = Plan {
        seconds: SHORTEST.as_secs_f64(),
        rounds: 1,
    };
    let rows = compare(&once, "prepaid, 4 processes", NODES as usize, &[contestant]).await;
    drop(server);
    rows
}

fn judged(all: &[Seen], length: Duration) -> Measured {
    let decisions: u64 = all.iter().map(|seen| seen.decisions).sum();
    let most = |figure: fn(&Seen) -> f64| all.iter().map(figure).fold(0.0, f64::max);
    let admitted = all.iter().flat_map(|seen| &seen.admitted);
    let history: Vec<_> = admitted
        .map(|at| Admission {
            at: Duration::from_micros(*at),
            cost: 1,
        })
        .collect();
    let measured = Measured {
        per_second: decisions as f64 / length.as_secs_f64(),
        p50_us: most(|seen| seen.p50_us),
        p99_us: most(|seen| seen.p99_us),
        fact: None,
    };
    measured.with_fact(Fact::Admitted {
        most: most_in_any_window(&history, PERIOD),
        limit: LIMIT,
    })
}

/// One of the processes: prints what it has seen.
pub(crate) async fn serve(url: &str, seconds: f64) -> Outcome<()> {
    let nodes = NonZeroU32::new(NODES).ok_or("no nodes")?;
    let policy = Policy::window("shared", LIMIT, PERIOD)?;
    let limiter = Mainstay::connect(url).await?.limiter(policy);
    let prepaid = limiter.prepaid(nodes, LEASE)?;
    let mut latencies = Latencies::new()?;
    let mut admitted = Vec::new();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        let begin = Instant::now();
        let decision = prepaid.check("everybody").await?;
        let took = begin.elapsed();
        // A draw waits for the store, which others measure.
        if decision.source() != Source::Store {
            latencies.record(took);
        }
        if decision.is_allowed() {
            admitted.push(u64::try_from(decision.decided_at().as_micros())?);
        } else {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
    let seen = Seen {
        decisions: latencies.count(),
        p50_us: latencies.quantile_us(0.5),
        p99_us: latencies.quantile_us(0.99),
        admitted,
    };
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}
