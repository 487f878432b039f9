//! `cargo xtask bench`: the benchmarks beside their peers.

use crate::install;
use crate::process::{self, Outcome, cargo};

/// Scenarios that start peers in other languages.
const WITH_PEERS: [&str; 5] = ["limit", "lock", "peers", "session", "stampede"];

/// Builds and runs the benchmarks, side by side with peers.
///
/// The benchmarks are a workspace of their own (bench/), so that the peers they compare with never
/// slow the main build. Missing servers are installed first; so are peers from npm and pip
/// (in a virtual environment), both under target/bench-peers. Each command is printed before
/// it is run. The program prints tables and writes them, with the numbers as JSON, under
/// target/bench.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask bench                          everything\n  \
    cargo xtask bench get lock                 two scenarios\n  \
    cargo xtask bench peers --without-peers    no peers in other languages\n  \
    cargo xtask bench --rounds 7 --page        slower, for docs/benchmarks.md")]
pub(crate) struct Options {
    /// Leave out the peers in other languages, which need Node.js and Python.
    #[arg(long)]
    without_peers: bool,
    /// Put the tables into docs/benchmarks.md as well.
    #[arg(long)]
    page: bool,
    /// Seconds that a contestant runs in each round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Interleaved rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Scenarios to run, by name; all if left out.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    if options.needs_peers() {
        install::peers()?;
    } else {
        install::servers()?;
    }
    let program = [
        "run",
        "--release",
        "--manifest-path",
        "bench/Cargo.toml",
        "--",
    ];
    process::run(cargo(program).args(options.arguments()))
}

impl Options {
    fn needs_peers(&self) -> bool {
        let has_peers = |name: &String| WITH_PEERS.contains(&name.as_str());
        !self.without_peers && (self.names.is_empty() || self.names.iter().any(has_peers))
    }

    /// What the program is given.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--seconds={}", self.seconds),
            format!("--rounds={}", self.rounds),
        ];
        let flags = [
            ("--without-peers", self.without_peers),
            ("--page", self.page),
        ];
        arguments.extend(
            flags
                .iter()
                .filter(|flag| flag.1)
                .map(|flag| flag.0.to_owned()),
        );
        arguments.extend(self.names.iter().cloned());
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn options(names: &[&str], without_peers: bool) -> Options {
        Options {
            without_peers,
            page: true,
            seconds: 0.5,
            rounds: 5,
            names: names.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn peers_are_installed_only_for_scenarios_that_start_them() {
        assert!(options(&[], false).needs_peers());
        assert!(options(&["get", "stampede"], false).needs_peers());
        assert!(!options(&["get", "near"], false).needs_peers());
        assert!(!options(&["peers"], true).needs_peers());
    }

    #[test]
    fn options_are_passed_on_before_the_names() {
        assert_eq!(
            options(&["get"], true).arguments(),
            [
                "--seconds=0.5",
                "--rounds=5",
                "--without-peers",
                "--page",
                "get"
            ]
        );
    }
}
