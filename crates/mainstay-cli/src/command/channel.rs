//! `mainstay channel`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use mainstay::Mainstay;
use mainstay::pubsub::{Event, History, HistoryItem, Position, Retention, Start};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::command::publish::read;
use crate::command::subscribe::event_for_people;
use crate::failure::Failure;
use crate::output;
use crate::quantity::duration;

const EXAMPLES: &str = "\
Examples:
  mainstay channel publish alarms alarm.raised '{\"tank\":7}' --keep 10000 --keep-for 7d
  mainstay channel read alarms
  mainstay channel read alarms --follow --json >> alarms.jsonl
  mainstay channel read alarms --follow --after \"$(tail -1 alarms.jsonl | jq -r .position)\"

These are the channels that keep what is published; pub and sub are for the others.";

/// Channels that keep what is published
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Channel {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Publishes an event, and prints its position; exit code 1 if its id was published before
    Publish(Publish),
    /// Prints what is kept, from the oldest event on or after a position
    Read(Read),
}

#[derive(Args)]
struct Publish {
    /// The channel: letters, digits and . _ - /
    channel: String,
    /// What happened, as `CloudEvents` types are written: alarm.raised
    #[arg(value_name = "TYPE")]
    kind: String,
    /// The event's data as JSON; - reads it from standard input
    #[arg(
        default_value = "null",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    data: String,
    /// Most events that the channel keeps from now on
    #[arg(long, value_name = "COUNT")]
    keep: u64,
    /// How long it keeps them
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    keep_for: Duration,
    /// Tells it from others: within 10 minutes a second one of the same id is not published
    #[arg(long)]
    id: Option<String>,
}

#[derive(Args)]
struct Read {
    /// The channel: letters, digits and . _ - /
    channel: String,
    /// Begin after this position, as it was printed
    #[arg(long, value_name = "POSITION")]
    after: Option<Position>,
    /// Go on with what is published
    #[arg(short, long)]
    follow: bool,
    /// Most lines; without --follow 1000 at most
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

impl Channel {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Publish(publish) => publish.run(global).await,
            Action::Read(read) => read.run(global).await,
        }
    }
}

fn history(stay: &Mainstay, name: &str, kept: Retention) -> Result<History<Value>, Failure> {
    Ok(stay.channel::<Value>(name).history(kept).build()?)
}

impl Publish {
    async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let data = read(&self.data)?;
        let kept = Retention::count(self.keep).age(self.keep_for);
        kept.validate()?;
        let stay = global.connect().await?;
        let channel = history(&stay, &self.channel, kept)?;
        let mut event = Event::new(self.kind, data);
        if let Some(id) = self.id {
            event = event.with_id(id);
        }
        // A new id is its own: asked once, it can be asked again when the answer is lost.
        let published = channel.publish_once(&event).await?;
        let position = published.position.to_string();
        output::answer(
            global.json,
            &json!({ "position": position, "repeated": published.is_repeated }),
            &position,
        )?;
        Ok(if published.is_repeated {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }
}

impl Read {
    async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let stay = global.connect().await?;
        // Who only reads keeps nothing: the publishers say what is kept.
        let channel = history(&stay, &self.channel, Retention::count(1))?;
        let start = self.after.map_or(Start::Beginning, Start::After);
        let mut left = self.limit;
        if self.follow {
            let mut subscriber = channel.subscribe_from(start).await?;
            while left != Some(0) {
                print(&self.channel, subscriber.next().await, global.json)?;
                left = left.map(|left| left - 1);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let most = left.and_then(|left| usize::try_from(left).ok());
        let most = most.unwrap_or(History::<Value>::READ_MOST);
        for item in channel.read(start, most).await? {
            print(&self.channel, item, global.json)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(channel: &str, item: HistoryItem<Value>, json: bool) -> Result<(), Failure> {
    match item {
        HistoryItem::Event {
            position, event, ..
        } => {
            let shown = event_for_people(channel, &event);
            let event = event.identified().to_json();
            let line = match event.as_deref().map(serde_json::from_slice::<Value>) {
                Ok(Ok(event)) => json!({ "position": position.to_string(), "event": event }),
                _ => json!({ "position": position.to_string(), "undecodable": "no CloudEvent" }),
            };
            output::answer(json, &line, shown)
        }
        HistoryItem::Gap(gap) => {
            let reason = gap.reason.as_str();
            let to = gap.to.map_or_else(|| "?".to_owned(), |to| to.to_string());
            output::answer(
                json,
                &json!({ "gap": { "from": gap.from, "to": gap.to, "reason": reason } }),
                format_args!("-- gap: {} to {to} are missing, {reason}", gap.from),
            )
        }
        HistoryItem::Undecodable {
            position, error, ..
        } => output::answer(
            json,
            &json!({ "position": position.to_string(), "undecodable": error.to_string() }),
            format_args!("-- undecodable message: {error}"),
        ),
        other => output::answer(
            json,
            &json!({ "unknown": format!("{other:?}") }),
            "-- something that this version does not know",
        ),
    }
}
