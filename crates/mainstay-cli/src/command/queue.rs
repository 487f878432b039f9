//! `mainstay queue`.

mod dead;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use mainstay::queue::{Pushed, Queue as Jobs, QueueStats};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::command::publish::read;
use crate::failure::Failure;
use crate::output::{self, plain};
use crate::quantity::duration;

const EXAMPLES: &str = "\
Examples:
  mainstay queue push reports '{\"plant\":7}' --id plant-7-2026-04 --key plant-7
  mainstay queue push mails - --delay 10m < mail.json
  mainstay queue work reports --concurrency 4 -- ./make-report.sh
  mainstay queue show reports
  mainstay queue dead ls reports
  mainstay queue dead replay reports --all";

/// Queues of jobs: adds them, works on them, looks after those that died
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Queue {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Adds a job; exit code 1 if its id was pushed before, or the queue is full
    Push(Push),
    /// Tells how many jobs there are, by what they wait for
    Show(Show),
    /// Runs a command for each job
    Work(work::Work),
    /// Jobs that failed too often
    #[command(subcommand)]
    Dead(dead::Dead),
}

#[derive(Args)]
struct Push {
    /// The queue: letters, digits and . _ - /
    queue: String,
    /// What the job is about, as JSON; - reads it from standard input
    #[arg(allow_hyphen_values = true)]
    data: String,
    /// Tells it from others: within an hour a second one of the same id is not added
    #[arg(long)]
    id: Option<String>,
    /// Jobs of one key are done one at a time, in their order
    #[arg(long)]
    key: Option<String>,
    /// Not before so long
    #[arg(long, default_value = "0s", value_parser = duration)]
    delay: Duration,
}

#[derive(Args)]
struct Show {
    /// The queue
    queue: String,
}

impl Queue {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Push(push) => push.run(global).await,
            Action::Show(show) => show.run(global).await,
            Action::Work(work) => work.run(global).await,
            Action::Dead(dead) => dead.run(global).await,
        }
    }
}

async fn open(global: &Global, name: &str) -> Result<Jobs<Value>, Failure> {
    Ok(global.connect().await?.queue(name).build()?)
}

impl Push {
    async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let data = read(&self.data)?;
        let queue = open(global, &self.queue).await?;
        let mut job = queue.job(&data).delay(self.delay);
        if let Some(id) = self.id {
            job = job.id(id);
        }
        if let Some(key) = self.key {
            job = job.key(key);
        }
        let (answer, id, is_added) = match job.push().await? {
            Pushed::Added { id } => ("added", Some(id), true),
            Pushed::Duplicate { id } => ("duplicate", Some(id), false),
            _ => ("full", None, false),
        };
        let text = match &id {
            Some(id) => format!("{answer} {}", plain(id)),
            None => answer.to_owned(),
        };
        output::answer(global.json, &json!({ "push": answer, "id": id }), text)?;
        Ok(ExitCode::from(u8::from(!is_added)))
    }
}

impl Show {
    async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let stats = open(global, &self.queue).await?.stats().await?;
        let (value, text) = described(&stats);
        output::answer(global.json, &value, text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn described(stats: &QueueStats) -> (Value, String) {
    let counts = [
        ("ready", stats.ready),
        ("delayed", stats.delayed),
        ("in_flight", stats.in_flight),
        ("behind", stats.behind),
        ("dead", stats.dead),
        ("dead_dropped", stats.dead_dropped),
        ("lost", stats.lost),
    ];
    let rows = counts.map(|(name, count)| [name.replace('_', " "), count.to_string()]);
    let value = counts
        .iter()
        .map(|(name, count)| ((*name).to_owned(), json!(count)));
    (Value::Object(value.collect()), output::table(&rows))
}
