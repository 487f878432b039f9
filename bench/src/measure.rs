//! Runs contestants in interleaved rounds and compares them round by round.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::Outcome;
use crate::fact::Fact;
use crate::latency::Latencies;
use crate::round;

/// How long before the first round each contestant runs unmeasured.
const WARM_UP: Duration = Duration::from_millis(200);

/// How long and how often.
pub(crate) struct Plan {
    pub(crate) seconds: f64,
    pub(crate) rounds: usize,
}

/// What a contestant is to do in one round.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) callers: usize,
    pub(crate) length: Duration,
}

/// What one round of one contestant gave.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) fact: Option<Fact>,
}

impl Measured {
    /// Calls that took these latencies, made in `elapsed` altogether.
    pub(crate) fn new(latencies: &Latencies, elapsed: Duration) -> Self {
        Self {
            per_second: latencies.count() as f64 / elapsed.as_secs_f64(),
            p50_us: latencies.quantile_us(0.5),
            p99_us: latencies.quantile_us(0.99),
            fact: None,
        }
    }

    pub(crate) fn with_fact(self, fact: Fact) -> Self {
        Self {
            fact: Some(fact),
            ..self
        }
    }
}

type Running = Pin<Box<dyn Future<Output = Outcome<Measured>> + Send>>;

/// One way to do the work.
pub(crate) struct Contestant {
    name: &'static str,
    run: Box<dyn Fn(Round) -> Running + Send + Sync>,
}

impl Contestant {
    /// Callers that each `call` in a loop; `call` gets the caller's number.
    pub(crate) fn new<F>(
        name: &'static str,
        call: impl Fn(usize) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<()>> + Send + 'static,
    {
        let call = Arc::new(call);
        Self::measured(name, move |round| round::on_tasks(Arc::clone(&call), round))
    }

    /// As [`new`](Self::new), with a thread a caller, for calls that never wait; `call` gets the
    /// call's number as well.
    pub(crate) fn on_threads(
        name: &'static str,
        call: impl AsyncFn(usize, usize) -> Outcome<()> + Send + Sync + 'static,
    ) -> Self {
        let call = Arc::new(call);
        Self::measured(name, move |round| {
            round::on_threads(Arc::clone(&call), round)
        })
    }

    /// Work that measures itself.
    pub(crate) fn measured<F>(
        name: &'static str,
        run: impl Fn(Round) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<Measured>> + Send + 'static,
    {
        Self {
            name,
            run: Box::new(move |round| Box::pin(run(round))),
        }
    }
}

/// A median with the extremes beside it.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self {
            least: values[0],
            median: values[values.len() / 2],
            most: values[values.len() - 1],
        }
    }
}

/// One contestant's result.
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) contestant: &'static str,
    pub(crate) callers: usize,
    pub(crate) per_second: Spread,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Throughput divided by that of the last contestant, the raw limit, in the same round.
    pub(crate) ratio: Spread,
    /// The worst of all rounds.
    pub(crate) fact: Option<Fact>,
}

/// Measures the contestants of one case; the last one is what the others are compared to.
pub(crate) async fn compare(
    plan: &Plan,
    case: &str,
    callers: usize,
    contestants: &[Contestant],
) -> Outcome<Vec<Row>> {
    let mut length = WARM_UP;
    for contestant in contestants {
        (contestant.run)(Round { callers, length }).await?;
    }
    length = Duration::from_secs_f64(plan.seconds);
    let mut results: Vec<Vec<Measured>> = contestants.iter().map(|_| vec![]).collect();
    for _ in 0..plan.rounds {
        for (contestant, measured) in contestants.iter().zip(&mut results) {
            measured.push((contestant.run)(Round { callers, length }).await?);
        }
    }
    let Some(limit) = results.last() else {
        return Ok(vec![]);
    };
    let rows = contestants.iter().zip(&results);
    let rows = rows.map(|(contestant, measured)| {
        let paired = measured.iter().zip(limit);
        let row = Row {
            case: case.to_owned(),
            contestant: contestant.name,
            callers,
            per_second: Spread::of(measured.iter().map(|one| one.per_second)),
            p50_us: Spread::of(measured.iter().map(|one| one.p50_us)).median,
            p99_us: Spread::of(measured.iter().map(|one| one.p99_us)).median,
            ratio: Spread::of(paired.map(|(one, limit)| one.per_second / limit.per_second)),
            fact: measured
                .iter()
                .filter_map(|one| one.fact)
                .reduce(Fact::worse),
        };
        eprintln!(
            "{case:>20} {callers:>4} callers  {:<26} {:>12.0}/s  {:.2}",
            row.contestant, row.per_second.median, row.ratio.median
        );
        row
    });
    Ok(rows.collect())
}
