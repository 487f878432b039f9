//! Runs of `mainstay-worker`, a process of its own.

use std::process::Stdio;
use std::time::Duration;

use mainstay_testkit::fixture::WallClock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::BOUND;

/// Runs a worker to its end and returns the lines that it printed.
pub(crate) async fn run(arguments: &[&str]) -> Vec<Value> {
    finish(command(arguments), BOUND).await
}

/// As [`run`], by a wall clock of its own if there is one, and for as long as `bound`.
pub(crate) async fn run_by(
    clock: Option<&WallClock>,
    arguments: &[&str],
    bound: Duration,
) -> Vec<Value> {
    let mut worker = command(arguments);
    worker.envs(clock.iter().flat_map(|clock| clock.environment()));
    finish(worker, bound).await
}

fn command(arguments: &[&str]) -> Command {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_mainstay-worker"));
    worker.args(arguments).kill_on_drop(true);
    worker
}

async fn finish(mut worker: Command, bound: Duration) -> Vec<Value> {
    let output = timeout(bound, worker.output())
        .await
        .expect("a worker ends")
        .unwrap();
    assert!(
        output.status.success(),
        "a worker failed: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A worker that is given one line of work after another.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts `mainstay-worker cache` and waits until it is connected.
    pub(crate) async fn cache(url: &str) -> Self {
        let mut worker = Self::start(&["cache", url]);
        worker.answer().await;
        worker
    }

    /// Starts `mainstay-worker lock`, which prints two lines for each section.
    pub(crate) fn lock(url: &str, name: &str, sections: u32) -> Self {
        Self::start(&["lock", url, name, &sections.to_string()])
    }

    /// Starts `mainstay-worker share` and waits until it holds one unit of a semaphore.
    pub(crate) async fn share(url: &str, name: &str, units: u32) -> Self {
        let mut worker = Self::start(&["share", url, name, &units.to_string()]);
        worker.answer().await;
        worker
    }

    /// Starts `mainstay-worker holder`, which takes a lock and writes a guarded value when asked.
    pub(crate) fn holder(url: &str, name: &str, ttl: Duration) -> Self {
        Self::start(&["holder", url, name, &ttl.as_millis().to_string()])
    }

    /// As [`holder`](Self::holder), by a wall clock of its own.
    pub(crate) fn holder_by(clock: &WallClock, url: &str, name: &str, ttl: Duration) -> Self {
        let mut worker = command(&["holder", url, name, &ttl.as_millis().to_string()]);
        worker.envs(clock.environment());
        Self::spawn(worker)
    }

    /// Starts `mainstay-worker session`, by a wall clock of its own if there is one, and waits until it is
    /// connected.
    pub(crate) async fn session(clock: Option<&WallClock>, url: &str) -> Self {
        let mut worker = command(&["session", url]);
        worker.envs(clock.iter().flat_map(|clock| clock.environment()));
        let mut worker = Self::spawn(worker);
        worker.answer().await;
        worker
    }

    /// Says that there is no more work, and takes what it says until it ends.
    pub(crate) async fn close(self) -> Vec<Value> {
        let Self {
            child: _child,
            input,
            mut output,
        } = self;
        drop(input);
        let mut lines = Vec::new();
        while let Some(line) = timeout(BOUND, output.next_line())
            .await
            .expect("it ends")
            .unwrap()
        {
            lines.push(serde_json::from_str(&line).unwrap());
        }
        lines
    }

    /// Suspends the process, or wakes it up.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, signal).unwrap();
    }

    /// Starts a worker that is told what to do by its arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(arguments))
    }

    fn spawn(mut worker: Command) -> Self {
        let mut child = worker
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().expect("stdin is piped");
        let output = child.stdout.take().expect("stdout is piped");
        Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        }
    }

    /// Hands out work without waiting for its end.
    pub(crate) async fn begin(&mut self, work: &str) {
        let line = format!("{work}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    /// Waits for the end of the work that was begun first.
    pub(crate) async fn answer(&mut self) -> Value {
        let line = timeout(4 * BOUND, self.output.next_line()).await;
        let line = line.expect("a worker answers").unwrap();
        serde_json::from_str(&line.expect("a worker goes on")).unwrap()
    }

    /// Takes what it says until it ends.
    pub(crate) async fn read_on(&mut self, lines: &mut Vec<Value>) {
        while let Some(line) = self.output.next_line().await.unwrap() {
            lines.push(serde_json::from_str(&line).unwrap());
        }
    }

    pub(crate) async fn ask(&mut self, work: &str) -> Value {
        self.begin(work).await;
        self.answer().await
    }

    /// Kills the process with `SIGKILL`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
