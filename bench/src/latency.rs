//! How long calls took.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Outcome;

/// Calls that take longer count as this long: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self(Histogram::new_with_max(LONGEST_NS, 3)?))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.record_many(latency, 1);
    }

    /// `count` calls of the same latency.
    pub(crate) fn record_many(&mut self, latency: Duration, count: u64) {
        self.0.saturating_record_n(latency.as_nanos() as u64, count);
    }

    pub(crate) fn add(&mut self, other: &Self) -> Outcome<()> {
        Ok(self.0.add(&other.0)?)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }
}
