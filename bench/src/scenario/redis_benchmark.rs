//! `redis-benchmark` as a contestant: what the server gives a client that does nothing else.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::Outcome;
use crate::measure::{Measured, Round};

/// What is assumed of the server before the first round tells.
const FIRST_PER_SECOND: u64 = 20_000;
const LEAST_REQUESTS: u64 = 1_000;

/// Reads one key over one connection with as many requests under way as there are callers.
pub(crate) struct RedisBenchmark {
    port: u16,
    key: String,
    /// It counts requests and not seconds; what one round took gives the next one's number.
    per_second: AtomicU64,
}

impl RedisBenchmark {
    pub(crate) fn get(port: u16, key: &str) -> Self {
        Self {
            port,
            key: key.to_owned(),
            per_second: AtomicU64::new(FIRST_PER_SECOND),
        }
    }

    pub(crate) async fn run(&self, round: Round) -> Outcome<Measured> {
        let per_second = self.per_second.load(Ordering::Relaxed);
        let requests = (per_second as f64 * round.length.as_secs_f64()) as u64;
        let begin = Instant::now();
        let output = Command::new("redis-benchmark")
            .args(["-p", &self.port.to_string(), "-c", "1", "--csv"])
            .args(["-n", &requests.max(LEAST_REQUESTS).to_string()])
            .args(["-P", &round.callers.to_string()])
            .args(["GET", &self.key])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let took = begin.elapsed().max(Duration::from_millis(1));
        let text = String::from_utf8(output.stdout)?;
        let measured = parse(&text)
            .ok_or_else(|| format!("redis-benchmark ended with {}: {text:?}", output.status))?;
        let kept = requests as f64 / took.as_secs_f64();
        self.per_second.store(kept as u64 + 1, Ordering::Relaxed);
        Ok(measured)
    }
}

/// The one line of figures below the line that names them.
fn parse(csv: &str) -> Option<Measured> {
    let mut lines = csv.lines();
    let names = lines.find(|line| line.starts_with("\"test\""))?;
    let figures = lines.next()?;
    let figure = |wanted: &str| -> Option<f64> {
        let place = names.split(',').position(|name| unquoted(name) == wanted)?;
        unquoted(figures.split(',').nth(place)?).parse().ok()
    };
    Some(Measured {
        per_second: figure("rps")?,
        p50_us: figure("p50_latency_ms")? * 1_000.0,
        p99_us: figure("p99_latency_ms")? * 1_000.0,
        fact: None,
    })
}

fn unquoted(word: &str) -> &str {
    word.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::parse;

    const CSV: &str = "\
\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"
\"GET raw\",\"20811.65\",\"0.044\",\"0.008\",\"0.047\",\"0.055\",\"0.071\",\"1.711\"
";

    #[test]
    fn figures_are_found_by_the_names_above_them() {
        let measured = parse(CSV).unwrap();
        let figures = [measured.per_second, measured.p50_us, measured.p99_us];
        assert_eq!(
            figures.map(|figure| figure.round() as u64),
            [20_812, 47, 71]
        );
    }

    #[test]
    fn an_error_has_no_figures() {
        assert!(parse("Could not connect to server\n").is_none());
    }
}
