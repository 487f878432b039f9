//! `mainstay lock show` and `lock break`.

use std::process::ExitCode;

use clap::Args;
use mainstay::Name;
use mainstay::lock::{AnyLock, Fence, LockKind, Release};
use serde_json::json;

use super::view;
use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{self, complain};

const SHOW_EXAMPLES: &str = "\
Examples:
  mainstay lock show nightly-report
  mainstay lock show nightly-report --json | jq .holding.fence
  mainstay lock show imports --kind semaphore

Exit code 0 when the lock is held, 1 when it is free.";

const BREAK_EXAMPLES: &str = "\
Examples:
  mainstay lock break nightly-report --reason 'host db-3 is gone'
  mainstay lock break nightly-report --fence 1795651200000000 --reason 'as seen on the dashboard'

The holder learns that it has lost the lock when it renews it, after a third of its ttl at most:
until then two may work at once. Who waits longest gets the lock. The reason is kept for 7 days.

Exit code 0 when the lock was freed, 1 when nobody held it, or another than the one named.";

#[derive(Args)]
struct Which {
    /// The lock: letters, digits and . _ - /
    name: String,
    /// What it is: lock (an election, too), semaphore or read-write
    #[arg(long, default_value = "lock")]
    kind: LockKind,
}

#[derive(Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[command(after_help = BREAK_EXAMPLES)]
pub(super) struct Break {
    #[command(flatten)]
    which: Which,
    /// Why, for those who look later
    #[arg(long)]
    reason: String,
    /// Only if this is the holder's fence; whoever holds it by default, if that is one
    #[arg(long)]
    fence: Option<u64>,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let lock = self.which.open(global).await?;
        let info = lock.inspect().await?;
        let value = view::value(lock.kind(), &info);
        output::answer(global.json, &value, view::text(&lock, &info))?;
        Ok(ExitCode::from(u8::from(info.holdings.is_empty())))
    }
}

impl Break {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let lock = self.which.open(global).await?;
        let (kind, name) = (lock.kind(), lock.name());
        let mut named = lock.inspect().await?.holdings;
        if let Some(fence) = self.fence {
            named.retain(|seen| seen.fence.map(Fence::get) == Some(fence));
        }
        let seen = match named.as_slice() {
            [] => {
                complain(format_args!(
                    "{kind} {name} is not held, or not with that fence"
                ));
                return Ok(ExitCode::from(1));
            }
            [seen] => seen,
            many => {
                return Err(Failure::Usage(format!(
                    "{} hold {kind} {name}: say which by --fence, as `mainstay lock show` tells it",
                    many.len()
                )));
            }
        };
        if lock.force_release(seen, &self.reason).await? == Release::NotHeld {
            complain(format_args!("{kind} {name} was released meanwhile"));
            return Ok(ExitCode::from(1));
        }
        let text = format!("freed {name}, which {} held", view::who(seen));
        output::answer(global.json, &json!({"freed": view::holding(seen)}), text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Which {
    async fn open(&self, global: &Global) -> Result<AnyLock, Failure> {
        // Before anything else: a wrong name needs no backend.
        Name::new(&self.name)?;
        Ok(global.connect().await?.any_lock(self.kind, &self.name)?)
    }
}
