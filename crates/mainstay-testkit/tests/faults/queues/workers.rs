//! Workers that are killed: no job is lost, and none is repeated but what they had in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_testkit::fixture::{Flavor, Server};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::super::worker::Worker;
use super::super::{BOUND, connect, extent, on_both_flavors};
use super::{NAME, all_ended, micros, queue, since_boot};

on_both_flavors! {
    t1_jobs_of_killed_workers_come_again_in_time_and_none_is_lost
}

const WORKERS: usize = 4;
const CONCURRENCY: usize = 16;
const LEASE: Duration = Duration::from_secs(1);
/// Beyond the lease of a lost worker.
const REDELIVERED: Duration = Duration::from_secs(2);
const KILL_EVERY: Duration = Duration::from_millis(500);

/// What a worker did, and when it was killed.
struct Life {
    lines: Vec<Value>,
    killed: Option<Duration>,
}

/// A worker whose lines are read while it lives.
struct Running {
    end: oneshot::Sender<bool>,
    life: JoinHandle<Life>,
}

impl Running {
    fn start(url: &str) -> Self {
        let (lease, concurrency) = (LEASE.as_millis().to_string(), CONCURRENCY.to_string());
        let mut worker = Worker::start(&["deliver", url, NAME, &lease, &concurrency]);
        let (end, mut ends) = oneshot::channel();
        let life = tokio::spawn(async move {
            let mut lines = Vec::new();
            let is_kill = tokio::select! {
                is_kill = &mut ends => is_kill.unwrap(),
                () = worker.read_on(&mut lines) => panic!("a worker ended by itself"),
            };
            if is_kill {
                worker.signal(Signal::KILL);
                let killed = Some(since_boot());
                worker.read_on(&mut lines).await;
                return Life { lines, killed };
            }
            lines.extend(worker.close().await);
            Life {
                lines,
                killed: None,
            }
        });
        Self { end, life }
    }

    async fn end(self, is_kill: bool) -> Life {
        self.end.send(is_kill).unwrap();
        self.life.await.unwrap()
    }
}

async fn t1_jobs_of_killed_workers_come_again_in_time_and_none_is_lost(flavor: Flavor) {
    let jobs = extent(5_000, 20_000);
    let server = Server::start(flavor).await;
    let queue = queue(&connect(&server.url()).await);
    let data = vec![json!({"sleep": 20}); jobs];
    let pushed = queue.push_all(&data).await.unwrap();
    let ids: BTreeSet<_> = pushed
        .into_iter()
        .map(|pushed| match pushed {
            mainstay::queue::Pushed::Added { id } => id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), jobs);
    let mut running: Vec<_> = (0..WORKERS)
        .map(|_| Running::start(&server.url()))
        .collect();
    let mut lives = Vec::new();
    // The same in every run.
    let mut which = 3;
    while queue.stats().await.unwrap().ready > 0 {
        sleep(KILL_EVERY).await;
        which = (which * 5 + 3) % WORKERS;
        let fresh = Running::start(&server.url());
        let victim = std::mem::replace(&mut running[which], fresh);
        lives.push(victim.end(true).await);
    }
    let kills = lives.len();
    let stats = all_ended(&queue, BOUND).await;
    assert_eq!((stats.dead, stats.lost), (0, 0));
    for worker in running {
        lives.push(worker.end(false).await);
    }
    // Nothing is left of any of them.
    let keys = ["jobs", "state", "lease", "ready", "delay", "lines", "heads"];
    for key in keys.map(|key| format!("{{queue:{NAME}}}:{key}")) {
        assert_eq!(
            server.command(&["EXISTS", &key]).await.integer(),
            0,
            "{key}"
        );
    }
    let (repeats, slowest) = judge(&ids, &lives);
    println!(
        "{flavor}: T1 {jobs} jobs, {kills} of {WORKERS} workers killed: each done, {repeats} repeated, the slowest {slowest:?} after its worker's death, lease {LEASE:?}"
    );
    assert!(kills >= 3, "{kills} kills");
    assert!(
        repeats > 0 && repeats <= kills * CONCURRENCY,
        "{repeats} repeats"
    );
    assert!(slowest <= LEASE + REDELIVERED, "{slowest:?}");
}

/// How many deliveries were repeated, and how long after the death of its worker the last came.
fn judge(ids: &BTreeSet<String>, lives: &[Life]) -> (usize, Duration) {
    // By job and attempt: when it began, and when its worker was killed.
    let mut begins = BTreeMap::<(&str, u64), (Duration, Option<Duration>)>::new();
    let mut done = BTreeMap::<&str, u64>::new();
    let mut fences = BTreeSet::new();
    for life in lives {
        let mut of_fence = BTreeMap::new();
        for line in &life.lines {
            let fence = line["fence"].as_u64().unwrap();
            if let Some(id) = line["begin"].as_str() {
                let attempt = line["attempt"].as_u64().unwrap();
                assert!(fences.insert(fence), "a fence was given twice");
                of_fence.insert(fence, attempt);
                let before = begins.insert((id, attempt), (micros(line), life.killed));
                assert!(before.is_none(), "{id}: attempt {attempt} twice");
            } else {
                let id = line["end"].as_str().unwrap();
                assert_eq!(line["settled"], "Ok(Settled)", "{line}");
                let before = done.insert(id, of_fence[&fence]);
                assert!(before.is_none(), "{id} was done twice");
            }
        }
    }
    let (mut repeats, mut slowest) = (0, Duration::ZERO);
    for (&(id, attempt), &(began, _)) in begins.range(..) {
        assert!(ids.contains(id));
        if attempt == 1 {
            continue;
        }
        repeats += 1;
        // Its worker may have been killed before it could tell.
        if let Some((_, killed)) = begins.get(&(id, attempt - 1)) {
            let killed =
                killed.unwrap_or_else(|| panic!("{id} was repeated though its worker lived"));
            slowest = slowest.max(began.saturating_sub(killed));
        }
        assert!(
            done.get(id).is_none_or(|done| *done >= attempt),
            "{id} came again after it was done"
        );
    }
    for id in ids {
        let last = begins
            .range((id.as_str(), 0)..=(id.as_str(), u64::MAX))
            .next_back();
        let (&(_, attempt), (_, killed)) =
            last.unwrap_or_else(|| panic!("{id} was never delivered"));
        // Done, or acknowledged and its worker killed before it could tell.
        assert!(
            done.get(id.as_str()) == Some(&attempt) || killed.is_some(),
            "{id} was not done"
        );
    }
    (repeats, slowest)
}
