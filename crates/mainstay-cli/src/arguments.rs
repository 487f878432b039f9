//! The command line's frame: global flags and the choice of a command.

use clap::{ArgAction, Args, Parser};

use crate::command::Command;

const EXAMPLES: &str = "\
Examples:
  mainstay serve                                    HTTP API on 127.0.0.1:7878, in memory
  mainstay serve --url redis://127.0.0.1:6379       the same, in front of Redis
  export MAINSTAY_URL=redis://127.0.0.1:6379
  mainstay cache set prices sku-1 9.90 --ttl 1h
  mainstay sub alarms
  mainstay lock run report -- ./make-report.sh
  mainstay queue work reports -- ./make-report.sh

Exit codes: 0 done, 1 the answer is no (a miss, a denial), 2 an error.
`mainstay lock run` has more: see its help.";

const URL_HELP: &str = "\
Backend: memory:, redis://, rediss://, unix://, redis-cluster:// or redis-sentinel://; \
without it REDIS_URL, or REDIS_HOST with REDIS_PORT and REDIS_PASSWORD, else memory:";

/// Caching, sessions, pub/sub, queues, rate limits and locks, over memory, Redis or Valkey.
#[derive(Parser)]
#[command(name = "mainstay", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    #[arg(long, global = true, env = "MAINSTAY_URL", hide_env_values = true, help = URL_HELP)]
    pub(crate) url: Option<String>,
    /// Prefix that keeps this application's keys apart
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Print JSON instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more to standard error; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_has_no_contradiction() {
        Arguments::command().debug_assert();
    }
}
