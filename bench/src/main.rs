//! Measures mainstay beside the raw limit of the same work, in one run.
//!
//! Every scenario runs its contestants in interleaved rounds and reports the median with its
//! spread: on a shared machine only ratios of one run mean something.

mod measure;
mod report;
mod scenario;

use std::error::Error;

use clap::{Parser, ValueEnum};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Side-by-side measurements; writes target/bench/results.json and table.md.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Scenarios to run; all of them without any.
    names: Vec<Name>,
    /// Seconds a contestant runs in each round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Interleaved rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// A hit in the memory backend beside a raw quick_cache.
    Memory,
    /// A cache hit on Redis beside the bare client.
    Get,
    /// A limit decision beside the raw EVALSHA of its script.
    Limit,
    /// Acquire and release of a lock beside two raw EVALSHAs.
    Lock,
    /// Cache hits over HTTP beside the cheapest route.
    Http,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let plan = measure::Plan {
        seconds: arguments.seconds,
        rounds: arguments.rounds.max(1),
    };
    let names = if arguments.names.is_empty() {
        Name::value_variants().to_vec()
    } else {
        arguments.names
    };
    let mut rows = Vec::new();
    for name in names {
        rows.extend(match name {
            Name::Memory => scenario::memory::run(&plan).await?,
            Name::Get => scenario::get::run(&plan).await?,
            Name::Limit => scenario::limit::run(&plan).await?,
            Name::Lock => scenario::lock::run(&plan).await?,
            Name::Http => scenario::http::run(&plan).await?,
        });
    }
    report::write(&rows)
}
