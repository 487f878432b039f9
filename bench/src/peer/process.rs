//! One running peer, spoken to in lines.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::list::{Peer, Program};
use crate::Outcome;

/// How much longer than asked for an answer may take.
const GRACE: Duration = Duration::from_secs(60);

/// Ends when this is dropped.
pub(crate) struct Process {
    name: &'static str,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Process {
    /// Starts one process of a peer and waits until it is ready.
    pub(crate) async fn start(peer: &Peer, url: &str, workload: &Path) -> Outcome<Self> {
        let mut command = match peer.program {
            Program::Rust(library) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--peer", library]).arg(url).arg(workload);
                command
            }
            Program::App(name) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--app", name, url]);
                command
            }
            Program::Script(language, file, arguments) => {
                let (interpreter, scripts) = language.installed()?;
                let mut command = Command::new(interpreter);
                command.arg(scripts.join(file)).arg(url).arg(workload);
                command.args(arguments);
                command
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", peer.name))?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut process = Self {
            name: peer.name,
            input,
            output: BufReader::new(output).lines(),
            child,
        };
        process.answer(Duration::ZERO).await?;
        Ok(process)
    }

    /// The process id.
    pub(crate) fn id(&self) -> Outcome<u32> {
        let id = self.child.id();
        Ok(id.ok_or_else(|| format!("{} ended", self.name))?)
    }

    /// Sends a line and reads the answer, which comes after about `length`.
    pub(crate) async fn ask(&mut self, request: &Value, length: Duration) -> Outcome<Value> {
        self.input
            .write_all(format!("{request}\n").as_bytes())
            .await?;
        self.answer(length).await
    }

    async fn answer(&mut self, length: Duration) -> Outcome<Value> {
        let line = timeout(length + GRACE, self.output.next_line())
            .await
            .map_err(|_| format!("{} does not answer", self.name))??
            .ok_or_else(|| format!("{} ended", self.name))?;
        Ok(serde_json::from_str(&line)?)
    }
}
