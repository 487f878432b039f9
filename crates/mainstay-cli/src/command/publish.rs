//! `mainstay pub`.

use std::io;
use std::process::ExitCode;

use clap::Args;
use mainstay::Name;
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mainstay pub alarms alarm.raised '{\"sensor\":7,\"celsius\":91.5}'
  mainstay pub alarms note '\"a string needs quotes of its own\"'
  jq -c .reading report.json | mainstay pub readings reading.taken -

It prints how many subscribers got the event.";

/// Publishes an event on a channel
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Publish {
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
}

impl Publish {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let name = Name::new(&self.channel)?;
        let data = read(&self.data)?;
        let stay = global.connect().await?;
        let channel = stay.channel::<Value>(name.as_str()).build()?;
        let receivers = channel.publish(&self.kind, &data).await?;
        let plural = if receivers == 1 { "" } else { "s" };
        output::answer(
            global.json,
            &json!({ "receivers": receivers }),
            format_args!("{receivers} receiver{plural}"),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn read(data: &str) -> Result<Value, Failure> {
    if data != "-" {
        return serde_json::from_str(data).map_err(Failure::Data);
    }
    let text = io::read_to_string(io::stdin())
        .map_err(|source| Failure::io("cannot read the data from standard input", source))?;
    serde_json::from_str(&text).map_err(Failure::Data)
}
