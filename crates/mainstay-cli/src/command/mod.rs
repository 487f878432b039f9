//! The commands, one file each.

mod cache;
mod channel;
mod completions;
mod limit;
mod lock;
mod publish;
mod queue;
mod serve;
mod session;
mod subscribe;

use std::process::ExitCode;

use clap::Subcommand;

use crate::arguments::Global;
use crate::failure::Failure;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    Cache(cache::Cache),
    #[command(name = "pub")]
    Publish(publish::Publish),
    #[command(name = "sub")]
    Subscribe(subscribe::Subscribe),
    Channel(channel::Channel),
    Lock(lock::Lock),
    Queue(queue::Queue),
    Limit(limit::Limit),
    Session(session::Session),
    Completions(completions::Completions),
}

impl Command {
    /// Does it; the code is for answers, errors are `Err`.
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve(command) => command.run(global).await,
            Self::Cache(command) => command.run(global).await,
            Self::Publish(command) => command.run(global).await,
            Self::Subscribe(command) => command.run(global).await,
            Self::Channel(command) => command.run(global).await,
            Self::Lock(command) => command.run(global).await,
            Self::Queue(command) => command.run(global).await,
            Self::Limit(command) => command.run(global).await,
            Self::Session(command) => command.run(global).await,
            Self::Completions(command) => command.run(),
        }
    }
}
