//! `mainstay lock ls`.

use std::process::ExitCode;

use clap::Args;
use mainstay::lock::{HeldLock, LockKind};
use serde_json::{Value, json};

use super::view;
use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{self, complain};

const EXAMPLES: &str = "\
Examples:
  mainstay lock ls
  mainstay lock ls --kind semaphore
  mainstay lock ls --json | jq '.locks[] | select(.waiting > 0) | .name'

On Redis every key is looked at, once for each kind, a thousand with one command (SCAN): it takes
a second or so for a million keys, and holds up nobody. A lock that is acquired or released
meanwhile may be missing.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// Only those of one kind: lock, semaphore or read-write
    #[arg(long)]
    kind: Option<LockKind>,
    /// The most locks that are listed
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

const HEAD: [&str; 7] = [
    "KIND", "NAME", "HOLDER", "HELD FOR", "LEFT", "WAITING", "FENCE",
];

impl List {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let stay = global.connect().await?;
        let list = stay.list_locks(self.kind, self.limit as usize).await?;
        if global.json {
            let locks = list.locks.iter();
            let locks: Vec<Value> = locks
                .map(|one| view::listed(&one.lock, &one.info))
                .collect();
            output::line(json!({"locks": locks, "is_all": list.is_all}))?;
        } else {
            output::line(table(&list.locks))?;
        }
        if !list.is_all {
            complain(format_args!(
                "there are more than {}: --limit raises that",
                self.limit
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A line a holder.
fn table(held: &[HeldLock]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for one in held {
        for seen in &one.info.holdings {
            rows.push([
                one.lock.kind().to_string(),
                one.lock.name().to_string(),
                view::who(seen),
                view::time(seen.held_for),
                view::time(seen.left),
                one.info.waiting.to_string(),
                view::fence(seen),
            ]);
        }
    }
    output::table(&rows)
}
