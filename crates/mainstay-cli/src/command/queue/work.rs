//! `mainstay queue work`.

use std::ffi::OsString;
use std::io;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use mainstay::codec::Raw;
use mainstay::queue::{Delivery, Job, Receipt, Settled};
use rustix::process::{Pid, Signal};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::task::{JoinError, JoinSet};

use crate::arguments::Global;
use crate::child;
use crate::failure::Failure;
use crate::output::{complain, plain};
use crate::quantity::duration;
use crate::signals::Signals;

const AFTER: &str = "\
The command gets the job on standard input, and in its environment MAINSTAY_QUEUE, MAINSTAY_JOB (the
job's id), MAINSTAY_ATTEMPT (from 1), MAINSTAY_FENCE (rises with every delivery: let what is written
refuse lower ones) and MAINSTAY_KEY. It runs in a process group of its own.

Exit code 0 of the command: the job is done. Anything else, and more time than --deadline: it has failed,
is tried again after a while, and is dead after --max-attempts. When another may have the job, or the
deadline has passed, the group gets SIGKILL.

SIGINT and SIGTERM: takes no more jobs, waits up to --grace for commands, gives back the rest. The exit
code is 0 then, and 2 when the command cannot be started, whose job is given back. When mainstay itself
is killed, the command runs on, and its job comes again.";

/// Runs a command for each job
#[derive(Args)]
#[command(after_help = AFTER)]
pub(super) struct Work {
    /// The queue
    queue: String,
    /// Commands at a time
    #[arg(long, default_value_t = 1)]
    concurrency: usize,
    /// How often a job is tried
    #[arg(long, default_value_t = 5)]
    max_attempts: u32,
    /// How long a job waits after its first attempt; twice as long after each further, at most 5m
    #[arg(long, default_value = "1s", value_parser = duration)]
    backoff: Duration,
    /// How long a job waits when this process dies; extended while it lives
    #[arg(long, default_value = "30s", value_parser = duration)]
    lease: Duration,
    /// How long a command may take; without it as long as it takes
    #[arg(long, value_parser = duration)]
    deadline: Option<Duration>,
    /// How long commands may take at the end
    #[arg(long, default_value = "10s", value_parser = duration)]
    grace: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How a command ended.
enum End {
    Ended(io::Result<ExitStatus>),
    Late,
    Lost,
}

/// A command, which ends with its job.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Nothing is left of it if it has ended in time.
            let _ = child::send(group, Signal::KILL);
        }
    }
}

impl Work {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let mut signals = Signals::listen()?;
        let stay = global.connect().await?;
        let longest = Duration::from_mins(5).max(self.backoff);
        let queue = stay.queue::<Bytes>(&self.queue).codec(Raw);
        let queue = queue
            .max_attempts(self.max_attempts)
            .backoff(self.backoff, longest);
        let worker = queue.build()?.worker().lease(self.lease);
        let mut worker = worker.concurrency(self.concurrency).start()?;
        let (grace, work) = (self.grace, Arc::new(self));
        let mut commands = JoinSet::new();
        let mut outcome = Ok(ExitCode::SUCCESS);
        loop {
            tokio::select! {
                _ = signals.next() => break,
                Some(ended) = commands.join_next(), if !commands.is_empty() => {
                    if let Err(failure) = one_ended(ended) {
                        outcome = Err(failure);
                        break;
                    }
                }
                delivery = worker.next() => match delivery {
                    Some(delivery) => {
                        commands.spawn(Arc::clone(&work).one(delivery));
                    }
                    None => break,
                }
            }
        }
        let all_ended = async {
            while let Some(ended) = commands.join_next().await {
                if let Err(failure) = one_ended(ended) {
                    outcome = Err(failure);
                }
            }
        };
        tokio::join!(worker.drain(grace), all_ended);
        outcome
    }

    async fn one(self: Arc<Self>, delivery: Delivery<Bytes>) -> Result<(), Failure> {
        let (job, receipt) = delivery.split();
        let mut running = match self.start(&job) {
            Ok(running) => running,
            Err(source) => {
                // Whatever comes of that: it comes again when its lease ends.
                let _ = receipt.give_back().await;
                return Err(Failure::io("cannot start the command", source));
            }
        };
        let late = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep(deadline).await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            biased;
            () = receipt.lost() => End::Lost,
            status = running.ended(&job.data) => End::Ended(status),
            () = late => End::Late,
        };
        drop(running);
        let id = plain(&job.id);
        let reason = match end {
            End::Lost => {
                complain(format_args!("job {id} was lost: its command is ended"));
                return Ok(());
            }
            End::Ended(Ok(status)) if status.success() => None,
            End::Ended(Ok(status)) => Some(format!("the command ended with {status}")),
            End::Ended(Err(error)) => Some(format!("cannot wait for the command: {error}")),
            End::Late => Some("the command took longer than the deadline".to_owned()),
        };
        tell(&receipt, &id, reason.as_deref()).await;
        Ok(())
    }

    fn start(&self, job: &Job<Bytes>) -> io::Result<Running> {
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| io::Error::other("there is no command"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("MAINSTAY_QUEUE", &self.queue)
            .env("MAINSTAY_JOB", &job.id)
            .env("MAINSTAY_ATTEMPT", job.attempt.to_string())
            .env("MAINSTAY_FENCE", job.fence.to_string())
            .env("MAINSTAY_KEY", job.key.as_deref().unwrap_or_default())
            .stdin(Stdio::piped())
            .process_group(0);
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Running {
            group: id.and_then(Pid::from_raw),
            child,
        })
    }
}

impl Running {
    /// Gives the command its job and waits for it; what it left running goes on.
    async fn ended(&mut self, job: &[u8]) -> io::Result<ExitStatus> {
        let stdin = self.child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command need not read.
                let _ = stdin.write_all(job).await;
            }
            std::future::pending::<()>().await;
        };
        let status = tokio::select! {
            status = self.child.wait() => status?,
            () = feed => return Err(io::Error::other("it was never fed")),
        };
        self.group = None;
        Ok(status)
    }
}

/// Until the store knows, or it is too late.
async fn tell(receipt: &Receipt, id: &str, reason: Option<&str>) {
    const PAUSE: Duration = Duration::from_millis(200);
    loop {
        let told = match reason {
            None => receipt.ack().await,
            Some(reason) => receipt.fail(reason).await,
        };
        match (told, reason) {
            (Ok(Settled::Dead), Some(reason)) => {
                complain(format_args!("job {id} is dead: {reason}"));
            }
            (Ok(Settled::Lost), _) => complain(format_args!("job {id} was lost before its end")),
            (Ok(_), Some(reason)) => complain(format_args!("job {id} has failed: {reason}")),
            (Ok(_), None) => {}
            (Err(error), _) => {
                complain(format_args!("the end of job {id} is not told yet: {error}"));
                tokio::select! {
                    () = receipt.lost() => {}
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        }
        return;
    }
}

fn one_ended(ended: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    ended.unwrap_or_else(|error| Err(Failure::io("a job's task failed", error.into())))
}
