//! What queues promise, whatever fails.

mod model;
mod poison;
mod replies;
mod restart;
mod stopped;
mod workers;

use std::time::Duration;

use mainstay::Mainstay;
use mainstay::clock::{Clock, Moment, SystemClock};
use mainstay::queue::{Pushed, Queue, QueueStats};
use mainstay_testkit::fixture::eventually;
use serde_json::Value;

use super::BOUND;

const NAME: &str = "jobs";

/// Since the machine was started, as workers tell it.
fn since_boot() -> Duration {
    SystemClock.now().since(Moment::default())
}

fn micros(line: &Value) -> Duration {
    Duration::from_micros(line["at"].as_u64().unwrap())
}

fn queue(stay: &Mainstay) -> Queue<Value> {
    stay.queue(NAME).build().unwrap()
}

/// Adds a job under an id.
async fn push(queue: &Queue<Value>, id: &str, key: Option<&str>, data: &Value) {
    let mut job = queue.job(data).id(id);
    if let Some(key) = key {
        job = job.key(key);
    }
    let pushed = job.push().await.unwrap();
    assert_eq!(pushed, Pushed::Added { id: id.to_owned() });
}

/// Waits until no job is left that may be tried.
async fn all_ended(queue: &Queue<Value>, bound: Duration) -> QueueStats {
    eventually("the end of all jobs", bound.max(BOUND), async || {
        let stats = queue.stats().await.unwrap();
        match (stats.ready, stats.delayed, stats.in_flight, stats.behind) {
            (0, 0, 0, 0) => Ok(stats),
            _ => Err(format!("{stats:?}")),
        }
    })
    .await
}
