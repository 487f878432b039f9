//! `mainstay lock ls`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use futures_util::TryStreamExt;
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

On Redis every key is looked at, a thousand with one command (SCAN): it takes a second or so for a
million keys, and holds up nobody. A lock that is acquired or released meanwhile may be missing.";

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
        let mut found = BTreeMap::new();
        let mut is_all = true;
        let mut held = Box::pin(stay.held_locks());
        while let Some(one) = held.try_next().await? {
            let kind = one.lock.kind();
            if self.kind.is_some_and(|wanted| wanted != kind) {
                continue;
            }
            // A scan may tell one twice.
            let name = (kind, one.lock.name().clone());
            if found.len() >= self.limit as usize && !found.contains_key(&name) {
                is_all = false;
                break;
            }
            found.insert(name, one);
        }
        let held: Vec<_> = found.into_values().collect();
        if global.json {
            let locks = held.iter().map(|one| view::listed(&one.lock, &one.info));
            let locks: Vec<Value> = locks.collect();
            output::line(json!({"locks": locks, "is_all": is_all}))?;
        } else {
            output::line(table(&held))?;
        }
        if !is_all {
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
