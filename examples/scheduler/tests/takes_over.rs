//! Real instances over one Redis and one database, one of which is suspended and one killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server};
use rustix::process::{Pid, Signal, kill_process};
use scheduler::Ledger;
use tokio::time::Instant;

/// Longer than anything takes.
const BOUND: Duration = Duration::from_secs(20);
/// That of the instances.
const TTL: Duration = Duration::from_secs(3);

struct Instance {
    process: Child,
    lines: Receiver<String>,
    ran: i64,
}

impl Instance {
    fn start(url: &str, ledger: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_scheduler"))
            .arg(ledger)
            .env("MAINSTAY_URL", url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            // Ends with the instance, or with the test.
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut instance = Self {
            process,
            lines,
            ran: 0,
        };
        instance.says("campaigning");
        instance
    }

    /// Reads on until a line starts with this word: its number.
    fn says(&mut self, word: &str) -> u64 {
        let until = Instant::now() + BOUND;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|error| panic!("no {word:?}: {error}"));
            let (said, number) = line.split_once(' ').unwrap_or((&line, "0"));
            self.ran += i64::from(said == "ran");
            if said == word {
                return number.parse().unwrap();
            }
            assert_ne!(said, "refused", "{line}, before {word:?}");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn another_takes_over_and_what_the_first_writes_late_is_refused() {
    let server = Server::start(Flavor::Redis).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let url = server.url();
    let mut first = Instance::start(&url, &file);
    let term = first.says("elected");
    assert_eq!(first.says("ran"), term);
    let mut second = Instance::start(&url, &file);

    first.signal(Signal::STOP);
    let suspended = Instant::now();
    let next = second.says("elected");
    assert!(next > term);
    // A ttl, and the time that processes take to be scheduled.
    let pause = suspended.elapsed();
    assert!(pause < TTL + Duration::from_secs(1), "{pause:?}");
    assert_eq!(second.says("ran"), next);

    first.signal(Signal::CONT);
    let ended = loop {
        let line = first.lines.recv_timeout(BOUND).unwrap();
        assert!(!line.starts_with("elected"), "{line}");
        // Before it was suspended: the ledger takes no other.
        first.ran += i64::from(line.starts_with("ran"));
        if line.starts_with("lost") {
            break line;
        }
    };
    assert_eq!(ended, format!("lost {term}"));
    second.signal(Signal::KILL);
    let last = first.says("elected");
    assert!(last > next);
    assert_eq!(first.says("ran"), last);
    first.signal(Signal::INT);
    assert!(first.process.wait().unwrap().success());
    let stay = Mainstay::connect(&url).await.unwrap();
    let election = stay.election("scheduler").build().unwrap();
    assert!(
        election.leader().await.unwrap().is_none(),
        "it has resigned"
    );

    while let Ok(line) = first.lines.recv_timeout(BOUND) {
        first.ran += i64::from(line.starts_with("ran"));
    }
    while let Ok(line) = second.lines.recv_timeout(BOUND) {
        second.ran += i64::from(line.starts_with("ran"));
    }
    let runs = Ledger::open(&file).await.unwrap().runs("rollup").await;
    let told = first.ran + second.ran;
    // Who was killed may not have told its last one.
    let runs = runs.unwrap();
    assert!(runs == told || runs == told + 1, "{runs} runs, {told} told");
}

#[tokio::test]
async fn the_ledger_takes_no_smaller_fence() {
    use scheduler::Recorded::{Recorded, Refused};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let ledger = Ledger::open(&file).await.unwrap();
    for (fence, wanted) in [(5, Recorded), (5, Recorded), (7, Recorded), (6, Refused)] {
        assert_eq!(ledger.record("a", fence.into()).await.unwrap(), wanted);
    }
    assert_eq!(ledger.runs("a").await.unwrap(), 3);
    assert_eq!(ledger.record("b", 1.into()).await.unwrap(), Recorded);
}

#[tokio::test]
async fn instances_that_share_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_scheduler"))
        .arg(folder.path().join("ledger.db"))
        .env("MAINSTAY_URL", "memory:")
        .output()
        .unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("set MAINSTAY_URL"), "{said}");
}
