//! The log on standard error.

use std::env;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::arguments::Arguments;
use crate::command::Command;

/// How a log line looks.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts the log; a server tells more of itself than a command.
pub(crate) fn start(arguments: &Arguments) {
    let (format, usual) = match &arguments.command {
        Command::Serve(serve) => (serve.log_format, "info"),
        _ => (LogFormat::Text, "warn"),
    };
    let filter = match (arguments.global.quiet, arguments.global.verbose) {
        (true, _) => "error".to_owned(),
        // The prefix covers the library, the server and this program.
        (false, 0) => format!("warn,mainstay={usual}"),
        (false, 1) => "warn,mainstay=debug".to_owned(),
        (false, _) => "trace".to_owned(),
    };
    let color = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(color);
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
