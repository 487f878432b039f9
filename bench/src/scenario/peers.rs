//! Get-or-load by 64 callers who mostly hit, beside other caching libraries.
//!
//! Nine of ten calls ask for one of 1,000 warm keys, the popular ones far more often (Zipf's law);
//! the tenth asks for a key that is new, so that each peer loads as often, however fast it is.

use std::sync::Arc;

use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::Outcome;
use crate::fact::Fact;
use crate::measure::{Contestant, Measured, Plan, Round, Row, compare};
use crate::peer::{self, Process, Workload};

const CALLERS: usize = 64;
const LOAD_MS: u64 = 1;

pub(crate) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let server = cache_server().await;
    let workload = Workload::new()?.write()?;
    let mut contestants = Vec::new();
    for peer in peer::for_rounds(with_scripts) {
        let process = Process::start(&peer, &server.url(), &workload).await?;
        let process = Arc::new(Mutex::new(process));
        contestants.push(Contestant::measured(peer.name, move |round| {
            let process = Arc::clone(&process);
            async move { ask(&mut *process.lock().await, round).await }
        }));
    }
    compare(plan, "get or load", CALLERS, &contestants).await
}

/// Redis as one runs it for a cache.
pub(super) async fn cache_server() -> Server {
    Server::builder(Flavor::Redis)
        .arg("maxmemory", "512mb")
        .arg("maxmemory-policy", "allkeys-lru")
        .start()
        .await
}

async fn ask(process: &mut Process, round: Round) -> Outcome<Measured> {
    let seconds = round.length.as_secs_f64();
    let request = json!({
        "do": "round", "callers": round.callers, "seconds": seconds, "load_ms": LOAD_MS,
    });
    let answer = process.ask(&request, round.length).await?;
    let measured = measured(&answer).ok_or_else(|| format!("a round gave {answer}"))?;
    Ok(measured)
}

fn measured(answer: &Value) -> Option<Measured> {
    let figure = |name: &str| answer.get(name)?.as_f64();
    let misses = figure("loads")? / figure("calls")?;
    Some(Measured {
        per_second: figure("per_second")?,
        p50_us: figure("p50_us")?,
        p99_us: figure("p99_us")?,
        fact: Some(Fact::Hits(100.0 * (1.0 - misses))),
    })
}
