//! Workers of a queue that may be stopped or killed; they end when standard input does.
//!
//! Jobs are JSON objects: `sleep` says how many milliseconds the work takes, `abort` ends the
//! process, `hang` never ends. Both kinds print a line when a job begins; `deliver` settles by itself and
//! prints what came of that, `serve` leaves it to its handler's `Ok`, and prints just before.

use std::time::Duration;

use mainstay::queue::{Job, Queue, Receipt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, stdin};
use tokio::time::sleep;

use super::clock::since_boot_micros;
use super::{Outcome, connect, print};

const DEADLINE: Duration = Duration::from_millis(300);
const GRACE: Duration = Duration::from_secs(5);

async fn queue(url: &str, name: &str, attempts: u32) -> mainstay::Result<Queue<Value>> {
    let queue = connect(url).await?.queue(name).max_attempts(attempts);
    queue
        .backoff(Duration::from_millis(50), Duration::from_millis(100))
        .build()
}

async fn told_to_end() {
    let mut rest = Vec::new();
    drop(stdin().read_to_end(&mut rest).await);
}

fn begins(job: &Job<Value>) -> Result<(), Box<dyn std::error::Error>> {
    let at = since_boot_micros()?;
    print(&json!({
        "begin": job.id, "attempt": job.attempt, "fence": job.fence, "key": job.key, "at": at
    }))?;
    Ok(())
}

async fn work(data: &Value) {
    if data["abort"] == true {
        std::process::abort();
    }
    if data["hang"] == true {
        std::future::pending::<()>().await;
    }
    let milliseconds = data["sleep"].as_u64().unwrap_or_default();
    sleep(Duration::from_millis(milliseconds)).await;
}

async fn deliver_one(job: Job<Value>, receipt: Receipt) {
    if begins(&job).is_err() {
        return;
    }
    work(&job.data).await;
    let lost = receipt.is_lost();
    let settled = receipt.ack().await;
    let (settled, at) = (
        format!("{settled:?}"),
        since_boot_micros().unwrap_or_default(),
    );
    let end = json!({
        "end": job.id, "fence": job.fence, "settled": settled, "lost": lost, "at": at
    });
    drop(print(&end));
}

/// Acknowledges each job, whatever it knows.
pub(super) async fn deliver(url: &str, name: &str, lease: &str, concurrency: &str) -> Outcome {
    let queue = queue(url, name, 100).await?;
    let worker = queue.worker().lease(Duration::from_millis(lease.parse()?));
    let mut worker = worker.concurrency(concurrency.parse()?).start()?;
    let end = told_to_end();
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            Some(delivery) = worker.next() => {
                let (job, receipt) = delivery.split();
                tokio::spawn(deliver_one(job, receipt));
            }
        }
    }
    worker.drain(GRACE).await;
    Ok(())
}

/// Works on one job after the other, each tried three times.
pub(super) async fn serve(url: &str, name: &str, lease: &str) -> Outcome {
    let queue = queue(url, name, 3).await?;
    let worker = queue.worker().lease(Duration::from_millis(lease.parse()?));
    let worker = worker.concurrency(1).deadline(DEADLINE).start()?;
    let handler = |job: Job<Value>| async move {
        begins(&job).map_err(|error| error.to_string())?;
        work(&job.data).await;
        print(&json!({"end": job.id, "fence": job.fence})).map_err(|error| error.to_string())
    };
    worker.serve(told_to_end(), handler).await;
    Ok(())
}
