//! A second process that ends the command when this one cannot: after `kill -9`, and when it is
//! suspended beyond the lock's deadline.
//!
//! It hears of the command's process group and of each new deadline on its standard input, as lines;
//! the end of that input means that this process is gone.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use mainstay::clock::{Clock, Moment, SystemClock};
use mainstay::lock::LockGuard;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};

use crate::child;
use crate::failure::Failure;
use crate::output::complain;
use crate::quantity::duration;
use crate::signals::Signals;

/// Who is alive says by itself what has become of the lock.
const AFTER_DEADLINE: Duration = Duration::from_millis(100);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const GROUP: &str = "group";
const UNTIL: &str = "until";
const DONE: &str = "done";

/// The process that watches, as the one that is watched sees it.
pub(super) struct Watchdog {
    input: ChildStdin,
    told: Moment,
}

impl Watchdog {
    pub(super) fn start(name: &str, grace: Duration) -> Result<Self, Failure> {
        let failed = |source| Failure::io("cannot start the process that watches the lock", source);
        let grace = format!("{}ms", grace.as_millis());
        let mut process = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["lock", "watchdog", name, "--grace", &grace])
            .stdin(Stdio::piped())
            // Whoever reads the command's output must not wait for the watchdog.
            .stdout(Stdio::null())
            // Signals that a terminal sends to the group are not for it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let input = process.stdin.take().ok_or_else(|| {
            failed(std::io::Error::other(
                "the new process has no standard input",
            ))
        })?;
        Ok(Self {
            input,
            told: Moment::default(),
        })
    }

    /// From now on this group ends with the lock.
    pub(super) async fn watch(&mut self, group: Pid, guard: &LockGuard) {
        self.say(&format!("{GROUP} {}", group.as_raw_nonzero()))
            .await;
        self.tell_deadline(guard).await;
    }

    /// Keeps it told of the deadline; never completes. Cancel safe but for a line that is cut, which
    /// it takes for the end.
    pub(super) async fn keep_told(&mut self, guard: &LockGuard, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            self.tell_deadline(guard).await;
        }
    }

    async fn tell_deadline(&mut self, guard: &LockGuard) {
        let deadline = guard.deadline();
        if deadline > self.told {
            self.told = deadline;
            let since_boot = deadline.since(Moment::default());
            self.say(&format!("{UNTIL} {}", since_boot.as_micros()))
                .await;
        }
    }

    /// The command has ended: what it left running is its own affair.
    pub(super) async fn dismiss(mut self) {
        self.say(DONE).await;
    }

    async fn say(&mut self, line: &str) {
        // Without the watchdog the lock is as good as before.
        if let Err(error) = self.input.write_all(format!("{line}\n").as_bytes()).await {
            tracing::warn!(%error, "the process that watches the lock is gone");
        }
    }
}

#[derive(Args)]
pub(super) struct Watch {
    name: String,
    #[arg(long, value_parser = duration)]
    grace: Duration,
}

/// What is known of the command.
#[derive(Default)]
struct Known {
    group: Option<Pid>,
    deadline: Option<Moment>,
}

impl Watch {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        // Who stops a service signals all its processes: this one ends after the others.
        let _ignored = Signals::listen()?.with_hangup()?;
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut known = Known::default();
        loop {
            let line = tokio::select! {
                line = lines.next_line() => line,
                () = overdue(known.deadline) => {
                    return self.end(&known, "was not renewed in time").await;
                }
            };
            let Ok(Some(line)) = line else {
                return self.end(&known, "lost its holder").await;
            };
            match line.split_once(' ') {
                Some((GROUP, id)) => known.group = id.parse().ok().and_then(Pid::from_raw),
                Some((UNTIL, micros)) => {
                    let since_boot = micros.parse().ok().map(Duration::from_micros);
                    known.deadline = since_boot.map(|it| Moment::default().after(it));
                }
                _ if line == DONE => return Ok(ExitCode::SUCCESS),
                _ => return self.end(&known, "lost its holder").await,
            }
        }
    }

    /// Ends the group, and before its deadline if there is one ahead.
    async fn end(&self, known: &Known, why: &str) -> Result<ExitCode, Failure> {
        let Some(group) = known.group else {
            return Ok(ExitCode::SUCCESS);
        };
        let cannot_signal = |source| {
            let what = format!("lock {} {why}: cannot signal the command", self.name);
            Failure::io(what, source)
        };
        let has_ended = !child::send(group, Signal::TERM).map_err(cannot_signal)?;
        if has_ended {
            return Ok(ExitCode::SUCCESS);
        }
        complain(format_args!("lock {} {why}: ending the command", self.name));
        let now = SystemClock.now();
        let left = known.deadline.map(|deadline| deadline.since(now));
        let grace = match left {
            Some(left) if !left.is_zero() => left.min(self.grace),
            _ => self.grace,
        };
        let end = now.after(grace);
        while SystemClock.now() < end {
            if !child::is_there(group) {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        child::send(group, Signal::KILL).map_err(cannot_signal)?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn overdue(deadline: Option<Moment>) {
    match deadline {
        Some(deadline) => {
            SystemClock
                .sleep_until(deadline.after(AFTER_DEADLINE))
                .await;
        }
        None => std::future::pending().await,
    }
}
