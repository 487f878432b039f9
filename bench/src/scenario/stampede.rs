//! One cold key that 250 callers in two processes want at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::peers::cache_server;
use crate::Outcome;
use crate::fact::Fact;
use crate::latency::Latencies;
use crate::measure::{Contestant, Measured, Plan, Round, Row, compare};
use crate::peer::{self, Process, Workload};

const CALLERS: usize = 250;
const LOAD: Duration = Duration::from_millis(300);

pub(crate) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let server = cache_server().await;
    let workload = Workload::new()?.write()?;
    let mut contestants = Vec::new();
    for peer in peer::for_stampedes(with_scripts) {
        let mut processes = Vec::new();
        for _ in 0..peer.processes {
            processes.push(Process::start(&peer, &server.url(), &workload).await?);
        }
        let processes = Arc::new(Mutex::new(processes));
        let next = Arc::new(AtomicU64::new(0));
        contestants.push(Contestant::measured(peer.name, move |round| {
            let processes = Arc::clone(&processes);
            let key = format!("stampede-{}", next.fetch_add(1, Ordering::Relaxed));
            async move { stampede(&mut processes.lock().await, &key, round).await }
        }));
    }
    compare(plan, "cold key", CALLERS, &contestants).await
}

#[derive(Deserialize)]
struct Answer {
    loads: u64,
    latencies_us: Vec<u64>,
}

/// One stampede, however long the round is to be; the callers are shared among the processes.
async fn stampede(processes: &mut [Process], key: &str, round: Round) -> Outcome<Measured> {
    let request = json!({
        "do": "stampede", "callers": round.callers / processes.len(), "key": key,
        "load_ms": LOAD.as_millis() as u64,
    });
    let start = Instant::now();
    let answers = processes
        .iter_mut()
        .map(|process| process.ask(&request, LOAD));
    let answers = try_join_all(answers).await?;
    let elapsed = start.elapsed();
    let mut latencies = Latencies::new()?;
    let mut loads = 0;
    for answer in answers {
        let answer: Answer = serde_json::from_value(answer)?;
        loads += answer.loads;
        for latency in answer.latencies_us {
            latencies.record(Duration::from_micros(latency));
        }
    }
    Ok(Measured::new(&latencies, elapsed).with_fact(Fact::Loads(loads)))
}
