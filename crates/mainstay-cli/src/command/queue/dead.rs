//! `mainstay queue dead`.

use std::process::ExitCode;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use mainstay::queue::DeadLetter;
use serde_json::{Value, json};

use super::open;
use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{self, plain};
use crate::quantity::millis;

#[derive(Subcommand)]
pub(super) enum Dead {
    /// Lists dead letters, the latest first
    Ls(List),
    /// Makes them jobs again, with all their attempts; exit code 1 if none was
    Replay(Chosen),
    /// Forgets them; exit code 1 if none was
    Purge(Chosen),
}

#[derive(Args)]
pub(super) struct List {
    /// The queue
    queue: String,
    /// So many at most
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// Without the first so many
    #[arg(long, default_value_t = 0)]
    skip: u64,
}

#[derive(Args)]
pub(super) struct Chosen {
    /// The queue
    queue: String,
    /// Which, by the ids of their jobs
    #[arg(
        required_unless_present = "all",
        conflicts_with = "all",
        value_name = "ID"
    )]
    ids: Vec<String>,
    /// All that there are
    #[arg(long)]
    all: bool,
}

impl Dead {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self {
            Self::Ls(list) => list.run(global).await,
            Self::Replay(chosen) => {
                let queue = open(global, &chosen.queue).await?;
                let many = if chosen.all {
                    queue.replay_if(|_| true).await?
                } else {
                    queue.replay(&chosen.ids).await?
                };
                tell(global, "replayed", many)
            }
            Self::Purge(chosen) => {
                let queue = open(global, &chosen.queue).await?;
                let many = if chosen.all {
                    queue.purge_if(|_| true).await?
                } else {
                    queue.purge(&chosen.ids).await?
                };
                tell(global, "purged", many)
            }
        }
    }
}

fn tell(global: &Global, what: &str, many: u64) -> Result<ExitCode, Failure> {
    output::answer(
        global.json,
        &json!({ what: many }),
        format_args!("{what} {many}"),
    )?;
    Ok(ExitCode::from(u8::from(many == 0)))
}

impl List {
    async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let queue = open(global, &self.queue).await?;
        let letters = queue.dead(self.skip, self.limit).await?;
        let value = letters.iter().map(described).collect::<Value>();
        let rows: Vec<_> = letters.iter().map(row).collect();
        let text = if rows.is_empty() {
            "no dead letters".to_owned()
        } else {
            output::table(&rows)
        };
        output::answer(global.json, &json!({ "letters": value }), text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(letter: &DeadLetter) -> [String; 4] {
    let died = SystemTime::UNIX_EPOCH + letter.died_at;
    [
        plain(&letter.id),
        humantime::format_rfc3339_seconds(died).to_string(),
        format!("{} attempts", letter.attempts),
        plain(&letter.reason),
    ]
}

fn described(letter: &DeadLetter) -> Value {
    let mut value = json!({
        "id": letter.id,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "pushed_at_ms": millis(letter.pushed_at),
        "died_at_ms": millis(letter.died_at),
        "consumer": letter.consumer,
        "key": letter.key,
        "traceparent": letter.traceparent,
    });
    match serde_json::from_slice::<Value>(&letter.payload) {
        Ok(payload) => value["payload"] = payload,
        Err(_) => value["payload_base64"] = STANDARD.encode(&letter.payload).into(),
    }
    value
}
