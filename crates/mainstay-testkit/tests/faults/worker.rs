//! Runs of `mainstay-worker`, a process of its own.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::BOUND;

/// Runs a worker to its end and returns the lines that it printed.
pub(crate) async fn run(arguments: &[&str]) -> Vec<Value> {
    let worker = Command::new(env!("CARGO_BIN_EXE_mainstay-worker"))
        .args(arguments)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = timeout(BOUND, worker)
        .await
        .expect("a worker ends")
        .unwrap();
    assert!(
        output.status.success(),
        "a worker failed: {}",
        output.status
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
