//! `cargo xtask bench`: the benchmarks beside their peers.

use crate::install;
use crate::process::{self, Outcome, cargo};

/// Builds and runs the benchmarks, side by side with peers.
///
/// The benchmarks are a workspace of their own (bench/), so that the peers they compare with never
/// slow the main build. Missing servers are installed first. The program prints a table and writes
/// it, with the numbers as JSON, under target/bench.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask bench               everything\n  \
    cargo xtask bench cache lock    two groups\n  \
    cargo xtask bench -- --help     what the program itself accepts")]
pub(crate) struct Options {
    /// Benchmarks to run, by name; all if left out. Passed on as they are.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    install::servers()?;
    process::run(
        cargo([
            "run",
            "--release",
            "--manifest-path",
            "bench/Cargo.toml",
            "--",
        ])
        .args(&options.names),
    )
}
