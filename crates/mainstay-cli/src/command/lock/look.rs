//! `mainstay lock show` and `lock break`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use mainstay::Name;
use mainstay::lock::{Fence, Holding, LockInfo, Release};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{self, complain, plain};
use crate::quantity::{for_people, millis};

const SHOW_EXAMPLES: &str = "\
Examples:
  mainstay lock show nightly-report
  mainstay lock show nightly-report --json | jq .holding.fence

Exit code 0 when the lock is held, 1 when it is free.";

const BREAK_EXAMPLES: &str = "\
Examples:
  mainstay lock break nightly-report --reason 'host db-3 is gone'
  mainstay lock break nightly-report --fence 1795651200000000 --reason 'as seen on the dashboard'

The holder learns that it has lost the lock when it renews it, after a third of its ttl at most:
until then two may work at once. Who waits longest gets the lock. The reason is kept for 7 days.

Exit code 0 when the lock was freed, 1 when nobody held it, or another than the one named.";

#[derive(Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(super) struct Show {
    /// The lock: letters, digits and . _ - /
    name: String,
}

#[derive(Args)]
#[command(after_help = BREAK_EXAMPLES)]
pub(super) struct Break {
    /// The lock: letters, digits and . _ - /
    name: String,
    /// Why, for those who look later
    #[arg(long)]
    reason: String,
    /// Only if this is the holder's fence; whoever holds it by default
    #[arg(long)]
    fence: Option<u64>,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let name = Name::new(&self.name)?;
        let lock = global.connect().await?.lock(name.as_str()).build()?;
        let info = lock.inspect().await?;
        output::answer(global.json, &value(&info), text(&name, &info))?;
        Ok(ExitCode::from(u8::from(info.holding.is_none())))
    }
}

impl Break {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let name = Name::new(&self.name)?;
        let lock = global.connect().await?.lock(name.as_str()).build()?;
        let named = |seen: &Holding| match self.fence {
            Some(fence) => seen.fence.map(Fence::get) == Some(fence),
            None => true,
        };
        let Some(seen) = lock.inspect().await?.holding.filter(named) else {
            complain(format_args!(
                "lock {name} is not held, or not with that fence"
            ));
            return Ok(ExitCode::from(1));
        };
        if lock.force_release(&seen, &self.reason).await? == Release::NotHeld {
            complain(format_args!("lock {name} was released meanwhile"));
            return Ok(ExitCode::from(1));
        }
        let text = format!("freed {name}, which {} held", who(&seen));
        output::answer(global.json, &json!({"freed": holding(&seen)}), text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn value(info: &LockInfo) -> Value {
    let last_break = info
        .last_break
        .as_ref()
        .map(|last| json!({"ago_ms": millis(last.ago), "by": last.by, "reason": last.reason}));
    json!({
        "holding": info.holding.as_ref().map(holding),
        "waiting": info.waiting,
        "last_break": last_break,
    })
}

fn holding(seen: &Holding) -> Value {
    json!({
        "holder": seen.holder,
        "fence": seen.fence.map(Fence::get),
        "left_ms": seen.left.map(millis),
        "held_for_ms": seen.held_for.map(millis),
    })
}

fn who(seen: &Holding) -> String {
    match seen.holder.as_str() {
        "" => "a program without mainstay".to_owned(),
        holder => plain(holder),
    }
}

fn text(name: &Name, info: &LockInfo) -> String {
    let people = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), for_people);
    let mut lines = match &info.holding {
        None => vec![format!("lock {name} is free")],
        Some(seen) => vec![
            format!("lock {name} is held by {}", who(seen)),
            format!("  held for  {}", people(seen.held_for)),
            format!("  left      {}, unless it is renewed", people(seen.left)),
            format!(
                "  fence     {}",
                seen.fence.map_or_else(|| "-".to_owned(), |f| f.to_string())
            ),
        ],
    };
    lines.push(format!("  waiting   {}", info.waiting));
    if let Some(last) = &info.last_break {
        lines.push(format!(
            "  broken    {} ago by {}: {}",
            for_people(last.ago),
            plain(&last.by),
            plain(&last.reason)
        ));
    }
    lines.join("\n")
}
