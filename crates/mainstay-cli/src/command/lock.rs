//! `mainstay lock`.

mod gate;
mod list;
mod look;
mod view;
mod watchdog;

use std::ffi::OsString;
use std::io;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use clap::{Args, Subcommand};
use mainstay::Name;
use mainstay::lock::{Acquire, LockGuard, Release};

use self::gate::Gate;
use self::watchdog::Watchdog;
use crate::arguments::Global;
use crate::child::{self, Group};
use crate::failure::Failure;
use crate::output::{complain, plain};
use crate::quantity::{duration, for_people};
use crate::signals::{self, Signals};

const HELD: u8 = 75;
const LOST: u8 = 76;

/// How often the watchdog hears of the deadline, which moves three times a ttl.
const TELLS_A_TTL: u32 = 6;

const EXAMPLES: &str = "\
Examples:
  mainstay lock run nightly-report -- ./report.sh --all
  mainstay lock run migrate --wait 1m -- sh -c 'psql -v fence=$MAINSTAY_FENCE -f up.sql'

The command gets MAINSTAY_LOCK, the lock's name, and MAINSTAY_FENCE, a number that rises with
every holder: let the resource refuse lower ones. It runs in a process group of its own and cannot
read from the terminal. SIGINT, SIGTERM and SIGHUP are passed on to the group. When the lock is
lost, the group gets SIGTERM, and SIGKILL after --grace. So it does when mainstay itself is killed or
suspended beyond its lease: a second process watches over it.

Exit codes:
  the command's   it ended while the lock was held; 128+N when signal N ended it
  2               an error of the backend or the command line; the command was not started
  75              another holds the lock; the command was not started
  76              the lock was lost while the command ran
  126, 127        the command cannot be executed, was not found";

/// Runs commands under a distributed lock; shows and frees locks
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lock {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Runs a command while holding a lock
    Run(Run),
    /// Lists what is held, by whom
    Ls(list::List),
    /// Tells who holds a lock, and how many wait
    Show(look::Show),
    /// Frees a lock that its holder does not free
    Break(look::Break),
    /// Becomes a command once that can be ended with its lock
    #[command(hide = true)]
    Gate(gate::Pass),
    /// Ends a command when the process that holds its lock is gone
    #[command(hide = true)]
    Watchdog(watchdog::Watch),
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Run {
    /// The lock: letters, digits and . _ - /
    name: String,
    /// How long the lock outlives this process should it die; renewed while it lives
    #[arg(long, default_value = "30s", value_parser = duration, allow_hyphen_values = true)]
    ttl: Duration,
    /// How long to wait for the lock
    #[arg(long, default_value = "0s", value_parser = duration, allow_hyphen_values = true)]
    wait: Duration,
    /// From SIGTERM to SIGKILL when the lock is lost
    #[arg(long, default_value = "5s", value_parser = duration, allow_hyphen_values = true)]
    grace: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Lock {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Run(run) => run.run(global).await,
            Action::Ls(list) => list.run(global).await,
            Action::Show(show) => show.run(global).await,
            Action::Break(order) => order.run(global).await,
            Action::Gate(pass) => pass.run().await,
            Action::Watchdog(watch) => watch.run().await,
        }
    }
}

impl Run {
    async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let name = Name::new(&self.name)?;
        let mut signals = Signals::listen()?.with_hangup()?;
        let acquire = async {
            let stay = global.connect().await?;
            let lock = stay.lock(name.as_str()).ttl(self.ttl).build()?;
            Ok::<_, Failure>(lock.acquire(self.wait).await?)
        };
        let acquired = tokio::select! {
            acquired = acquire => acquired?,
            signal = signals.next() => return Ok(signals::exit_code(signal.as_raw())),
        };
        match acquired {
            Acquire::Acquired(guard) => self.under(guard, &name, signals).await,
            Acquire::Held { left, holder } => {
                complain(held(&name, left, &holder));
                Ok(ExitCode::from(HELD))
            }
        }
    }

    async fn under(
        &self,
        guard: LockGuard,
        name: &Name,
        mut signals: Signals,
    ) -> Result<ExitCode, Failure> {
        let started = self.start(&guard, name).await;
        let (mut group, mut watchdog, _gate) = match started {
            Ok(started) => started,
            Err(failure) => {
                release(guard, name).await;
                return Err(failure);
            }
        };
        let status = loop {
            tokio::select! {
                () = watchdog.keep_told(&guard, self.ttl / TELLS_A_TTL) => {}
                status = group.wait() => break status.map_err(wait_failed)?,
                () = guard.lost() => {
                    complain(format_args!("lock {name} was lost: ending the command"));
                    group.end(self.grace).await.map_err(wait_failed)?;
                    watchdog.dismiss().await;
                    return Ok(ExitCode::from(LOST));
                }
                signal = signals.next() => group.signal(signal),
            }
        };
        watchdog.dismiss().await;
        Ok(self.conclude(guard, name, status).await)
    }

    /// Starts the command, and before it what ends it should this process be killed.
    async fn start(
        &self,
        guard: &LockGuard,
        name: &Name,
    ) -> Result<(Group, Watchdog, Gate), Failure> {
        let failed = |source| Failure::io("cannot start the command", source);
        let mut watchdog = Watchdog::start(name.as_str(), self.grace)?;
        let mut gate = Gate::closed().map_err(failed)?;
        let variables = [
            ("MAINSTAY_LOCK", name.to_string()),
            ("MAINSTAY_FENCE", guard.fence().to_string()),
        ];
        let (program, arguments) = gate.before(&self.command).map_err(failed)?;
        let group = Group::spawn(&program, &arguments, &variables).map_err(failed)?;
        watchdog.watch(group.id(), guard).await;
        gate.open().map_err(failed)?;
        Ok((group, watchdog, gate))
    }

    /// Whether the command had the lock to its end decides what its exit code is worth.
    async fn conclude(&self, guard: LockGuard, name: &Name, status: ExitStatus) -> ExitCode {
        let in_time = !guard.is_lost();
        if release(guard, name).await && in_time {
            return child::exit_code(status);
        }
        complain(format_args!(
            "lock {name} was lost before the command ended ({status})"
        ));
        ExitCode::from(LOST)
    }
}

/// Frees the lock; false when it was no longer ours.
async fn release(guard: LockGuard, name: &Name) -> bool {
    match guard.release().await {
        Ok(Release::NotHeld) => false,
        Ok(_) => true,
        Err(error) => {
            // It was held until now, and its ttl frees it.
            let report = Failure::from(error).report();
            complain(format_args!(
                "lock {name} stays held until its ttl ends: {report}"
            ));
            true
        }
    }
}

fn held(name: &Name, left: Option<Duration>, holder: &str) -> String {
    let holder = match holder {
        "" => "another".to_owned(),
        holder => plain(holder),
    };
    let left = left.map_or_else(String::new, |left| {
        format!(", for another {} unless it is renewed", for_people(left))
    });
    format!("lock {name} is held by {holder}{left}")
}

fn wait_failed(source: io::Error) -> Failure {
    Failure::io("cannot wait for the command", source)
}
