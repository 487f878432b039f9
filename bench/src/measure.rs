//! Runs contestants in interleaved rounds of callers that call in a loop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Outcome;

/// Calls that take longer count as this long: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// How long and how often.
pub struct Plan {
    pub seconds: f64,
    pub rounds: usize,
}

type Call = Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = Outcome<()>> + Send>> + Send + Sync>;

/// One way to do the work.
pub struct Contestant {
    name: &'static str,
    call: Call,
}

impl Contestant {
    /// `call` gets the caller's number.
    pub fn new<F>(name: &'static str, call: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome<()>> + Send + 'static,
    {
        Self {
            name,
            call: Arc::new(move |caller| Box::pin(call(caller))),
        }
    }
}

/// One contestant's result.
pub struct Row {
    pub scenario: String,
    pub contestant: &'static str,
    pub callers: usize,
    pub per_second: f64,
    pub slowest_round: f64,
    pub fastest_round: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Throughput divided by that of the scenario's last contestant, the raw limit.
    pub ratio: f64,
}

/// Measures the contestants of one scenario; the last one is what the others are compared to.
pub async fn compare(
    plan: &Plan,
    scenario: &str,
    callers: usize,
    contestants: &[Contestant],
) -> Outcome<Vec<Row>> {
    let mut rounds: Vec<Vec<(f64, Histogram<u64>)>> = contestants.iter().map(|_| vec![]).collect();
    for contestant in contestants {
        one_round(&contestant.call, callers, Duration::from_millis(200)).await?;
    }
    for _ in 0..plan.rounds {
        for (contestant, results) in contestants.iter().zip(&mut rounds) {
            let length = Duration::from_secs_f64(plan.seconds);
            results.push(one_round(&contestant.call, callers, length).await?);
        }
    }
    let mut rows: Vec<Row> = contestants
        .iter()
        .zip(&mut rounds)
        .map(|(contestant, results)| {
            results.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (median, latency) = &results[results.len() / 2];
            Row {
                scenario: scenario.to_owned(),
                contestant: contestant.name,
                callers,
                per_second: *median,
                slowest_round: results[0].0,
                fastest_round: results[results.len() - 1].0,
                p50_us: latency.value_at_quantile(0.5) as f64 / 1_000.0,
                p99_us: latency.value_at_quantile(0.99) as f64 / 1_000.0,
                ratio: 1.0,
            }
        })
        .collect();
    let limit = rows.last().map_or(1.0, |row| row.per_second);
    for row in &mut rows {
        row.ratio = row.per_second / limit;
        eprintln!(
            "{scenario:>8} {callers:>4} callers  {:<24} {:>12.0}/s  {:.2}",
            row.contestant, row.per_second, row.ratio
        );
    }
    Ok(rows)
}

async fn one_round(
    call: &Call,
    callers: usize,
    length: Duration,
) -> Outcome<(f64, Histogram<u64>)> {
    let start = Instant::now();
    let end = start + length;
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let call = Arc::clone(call);
            tokio::spawn(async move {
                let mut latency = Histogram::<u64>::new_with_max(LONGEST_NS, 3)?;
                loop {
                    let begin = Instant::now();
                    call(caller).await?;
                    let now = Instant::now();
                    latency.saturating_record((now - begin).as_nanos() as u64);
                    if now >= end {
                        return Outcome::Ok(latency);
                    }
                }
            })
        })
        .collect();
    let mut all = Histogram::<u64>::new_with_max(LONGEST_NS, 3)?;
    for task in tasks {
        all.add(task.await??)?;
    }
    let per_second = all.len() as f64 / start.elapsed().as_secs_f64();
    Ok((per_second, all))
}
