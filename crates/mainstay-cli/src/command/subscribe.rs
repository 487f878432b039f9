//! `mainstay sub`.

use std::num::NonZeroU64;
use std::process::ExitCode;

use clap::Args;
use mainstay::Name;
use mainstay::pubsub::{Event, GapReason, Item};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output::{self, plain};

const BUFFER_BYTES: usize = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  mainstay sub alarms readings
  mainstay sub alarms --count 1 --json | jq .event.data

A line is the event's time, channel, type and data. A line that starts with -- tells that
events may be missing there, or that a message was not JSON. With --json a line is
{\"channel\":..,\"event\":<CloudEvent>}, {\"gap\":..} or {\"channel\":..,\"undecodable\":..}.";

/// Prints the events of channels as they come
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Subscribe {
    /// The channels: letters, digits and . _ - /
    #[arg(required = true, value_name = "CHANNEL")]
    channels: Vec<String>,
    /// End after this many events
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
}

impl Subscribe {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let names: Vec<Name> = self
            .channels
            .iter()
            .map(Name::new)
            .collect::<mainstay::Result<_>>()?;
        let stay = global.connect().await?;
        let mut subscriber = stay.subscribe(&names, BUFFER_BYTES).await?;
        tracing::debug!("subscribed");
        let mut left = self.count.map(NonZeroU64::get);
        while left != Some(0) {
            let item = subscriber.next().await;
            let is_event = matches!(item, Item::Event { .. });
            print(item, global.json)?;
            if is_event {
                left = left.map(|left| left - 1);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(item: Item<Value>, json: bool) -> Result<(), Failure> {
    match item {
        Item::Event { channel, event } if json => {
            let shown = match event.identified().to_json() {
                Ok(event) => {
                    let event: Value = serde_json::from_slice(&event).map_err(Failure::Data)?;
                    json!({ "channel": channel.as_str(), "event": event })
                }
                // What others publish does not end the subscription.
                Err(error) => {
                    json!({ "channel": channel.as_str(), "undecodable": error.to_string() })
                }
            };
            output::line(shown)
        }
        Item::Event { channel, event } => output::line(event_for_people(channel.as_str(), &event)),
        Item::Gap(reason) => {
            let reason = match reason {
                GapReason::Disconnected => "disconnected".to_owned(),
                GapReason::Overflow { dropped } => format!("overflow, {dropped} dropped"),
                other => format!("{other:?}").to_lowercase(),
            };
            output::answer(
                json,
                &json!({ "gap": reason }),
                format_args!("-- gap: {reason}"),
            )
        }
        Item::Undecodable { channel, error, .. } => output::answer(
            json,
            &json!({ "channel": channel.as_str(), "undecodable": error.to_string() }),
            format_args!("-- undecodable message on {channel}: {error}"),
        ),
        other => output::answer(
            json,
            &json!({ "unknown": format!("{other:?}") }),
            "-- something that this version does not know",
        ),
    }
}

/// One line: time, channel, type and data.
pub(super) fn event_for_people(channel: &str, event: &Event<Value>) -> String {
    let time = event.time.map_or_else(
        || "-".to_owned(),
        |time| humantime::format_rfc3339_millis(time).to_string(),
    );
    let data = plain(&event.data.to_string());
    format!("{time} {channel} {} {data}", plain(&event.kind))
}
