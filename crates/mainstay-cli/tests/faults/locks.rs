//! `mainstay lock run` from several machines' cron, whose holders are killed.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::clock::{Clock, SystemClock};
use mainstay::lock::Lock;
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Held, check_locks};
use tokio::time::{Instant, sleep, sleep_until};

use crate::program::{Running, on, start};

const TTL: Duration = Duration::from_secs(2);
/// Started each second.
const PROCESSES: usize = 3;
/// How often a holder is looked for, to be killed.
const KILL_EVERY: Duration = Duration::from_millis(700);
/// Writes a line every 20 ms or so, for most of a second: what is in the journal is proof of life.
const COMMAND: &str = "i=0; while [ $i -lt 30 ]; do \
    echo \"$MAINSTAY_FENCE $(date +%s%N)\" >> \"$JOURNAL\"; sleep 0.02; i=$((i+1)); done";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_killed_holders_never_overlap_and_leave_no_gap() {
    let seconds = match env::var("MAINSTAY_CHAOS").as_deref() {
        Ok("full") => 60,
        Ok(other) => panic!("MAINSTAY_CHAOS is {other:?}: expected full"),
        Err(_) => 6,
    };
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    fs::write(&journal, "").unwrap();
    let began = Instant::now();
    let mut all = Vec::new();
    let mut killed = 0;
    let stay = Mainstay::connect(&url).await.unwrap();
    let lock = stay.lock("report").build().unwrap();
    for second in 0..seconds {
        for _ in 0..PROCESSES {
            all.push(run_once(&url, &journal));
        }
        let end = began + Duration::from_secs(second + 1);
        while Instant::now() + KILL_EVERY < end {
            sleep(KILL_EVERY).await;
            let Some(holder) = at_work(&lock, &journal).await else {
                continue;
            };
            for running in &mut all {
                let process = running.child();
                if holder.ends_with(&format!(":{}", process.id())) {
                    process.kill().unwrap();
                    killed += 1;
                }
            }
        }
        sleep_until(end).await;
    }
    let stopped = SystemClock.unix();
    for running in all {
        running.end();
    }
    let runs = runs(&fs::read_to_string(&journal).unwrap());
    let (longest, most) = (longest_gap(&runs, stopped), TTL + Duration::from_secs(1));
    println!(
        "lock run: {seconds} s, {} runs, {killed} holders killed, longest gap {longest:?} of {most:?}",
        runs.len()
    );
    assert_eq!(check_locks(&runs), Ok(()));
    assert!(killed >= seconds / 4, "{killed} killed");
    assert!(longest <= most, "{longest:?}");
}

/// Who holds the lock and has written to the journal, as `host:pid`: a holder that dies before it has
/// would leave a gap of its own.
async fn at_work(lock: &Lock, journal: &Path) -> Option<String> {
    let holding = lock.inspect().await.unwrap().holding?;
    let written = fs::read_to_string(journal).unwrap();
    let fence = holding.fence?.to_string();
    written.contains(&fence).then_some(holding.holder)
}

fn run_once(url: &str, journal: &Path) -> Running {
    let ttl = format!("{}s", TTL.as_secs());
    let lock = ["lock", "run", "report", "--ttl", &ttl, "--wait", "1s"];
    let mut command = on(url, &[&lock[..], &["--", "sh", "-c", COMMAND]].concat());
    command.env("JOURNAL", journal);
    start(command)
}

/// From the first to the last line of each run.
fn runs(journal: &str) -> Vec<Held> {
    let mut runs: BTreeMap<u64, Held> = BTreeMap::new();
    for line in journal.lines() {
        let (fence, nanos) = line.split_once(' ').unwrap();
        let at = Duration::from_nanos(nanos.parse().unwrap());
        let fence = fence.parse().unwrap();
        let run = runs.entry(fence).or_insert(Held {
            from: at,
            until: at,
            fence,
        });
        run.from = run.from.min(at);
        run.until = run.until.max(at);
    }
    runs.into_values().collect()
}

/// Between two runs, and after the last one.
fn longest_gap(runs: &[Held], stopped: Duration) -> Duration {
    let starts = runs.iter().skip(1).map(|run| run.from).chain([stopped]);
    let gaps = runs.iter().zip(starts);
    let gaps = gaps.map(|(run, next)| next.saturating_sub(run.until));
    gaps.max().expect("something ran")
}
