//! What rate limits promise, to several processes and whatever the clock does.

mod clocks;
mod edges;
mod headers;
mod model;
mod outage;
mod permits;
mod prepaid;
mod together;
mod volume;
mod windows;

use std::time::Duration;

use mainstay_testkit::oracle::Admission;
use serde_json::Value;

use super::{connect, extent, on_both_flavors, worker};

/// What a worker says it was admitted.
fn admissions(decisions: &[Value]) -> Vec<Admission> {
    let allowed = decisions.iter().filter(|it| it["allowed"] == true);
    allowed
        .map(|decision| Admission {
            at: Duration::from_micros(decision["decided_at"].as_u64().unwrap()),
            cost: 1,
        })
        .collect()
}
