//! Measures mainstay beside the raw limit of the same work and beside its peers, in one run.
//!
//! Every scenario runs its contestants in interleaved rounds and reports the median with its
//! spread: on a shared machine only ratios of one round mean something.

mod conditions;
mod fact;
mod latency;
mod measure;
mod near;
mod page;
mod peer;
mod processor;
mod report;
mod round;
mod scenario;

use std::error::Error;
use std::path::Path;

use clap::{Parser, ValueEnum};

use crate::measure::{Plan, Row};
use crate::report::Section;

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
    /// Puts the tables into docs/benchmarks.md as well.
    #[arg(long)]
    page: bool,
    /// Leaves out the peers that are written in other languages.
    #[arg(long)]
    without_peers: bool,
    /// Is one of the peers itself.
    #[arg(long, hide = true, num_args = 3, value_names = ["LIBRARY", "URL", "WORKLOAD"])]
    peer: Option<Vec<String>>,
    /// Is one of the servers whose requests have sessions.
    #[arg(long, hide = true, num_args = 2, value_names = ["NAME", "URL"])]
    app: Option<Vec<String>>,
    /// Is one of the processes of a limit.
    #[arg(long, hide = true, num_args = 2, value_names = ["URL", "SECONDS"])]
    node: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// A hit in the memory backend beside a raw `quick_cache`.
    Memory,
    /// A hit in the near cache beside maps in the process.
    Near,
    /// A cache hit on Redis beside the bare client and redis-benchmark.
    Get,
    /// A read that asks to be told of a change, in two ways.
    Tracked,
    /// A hot key that is written while it is read.
    Hot,
    /// Get-or-load beside other caching libraries.
    Peers,
    /// One cold key that everybody wants, beside other caching libraries.
    Stampede,
    /// A limit decision beside the raw EVALSHA of its script.
    Limit,
    /// Locks that nobody else wants, that 500 want, and 10,000 that are held, beside other libraries.
    Lock,
    /// A request of a logged-in user, what a session takes in Redis, and the log-out everywhere,
    /// beside other libraries.
    Session,
    /// Cache hits over HTTP beside the cheapest route.
    Http,
}

impl Name {
    async fn run(self, plan: &Plan, with_peers: bool) -> Outcome<Vec<Row>> {
        match self {
            Self::Memory => scenario::memory::run(plan).await,
            Self::Near => scenario::near::run(plan).await,
            Self::Get => scenario::get::run(plan).await,
            Self::Tracked => scenario::tracked::run(plan).await,
            Self::Hot => scenario::hot::run(plan).await,
            Self::Peers => scenario::peers::run(plan, with_peers).await,
            Self::Stampede => scenario::stampede::run(plan, with_peers).await,
            Self::Limit => scenario::limit::run(plan, with_peers).await,
            Self::Lock => scenario::lock::run(plan, with_peers).await,
            Self::Session => scenario::session::run(plan, with_peers).await,
            Self::Http => scenario::http::run(plan).await,
        }
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    if let Some([library, url, workload]) = arguments.peer.as_deref() {
        return peer::serve(library, url, Path::new(workload)).await;
    }
    if let Some([name, url]) = arguments.app.as_deref() {
        return scenario::session::serve_app(name, url).await;
    }
    if let Some([url, seconds]) = arguments.node.as_deref() {
        return scenario::limit::serve_node(url, seconds.parse()?).await;
    }
    let plan = Plan {
        seconds: arguments.seconds,
        rounds: arguments.rounds.max(1),
    };
    let names = if arguments.names.is_empty() {
        Name::value_variants()
    } else {
        &arguments.names
    };
    let mut conditions = conditions::describe(&plan)?;
    if arguments.without_peers {
        conditions.push_str(" Peers in other languages were left out.");
    }
    let mut sections = Vec::new();
    for name in names {
        let value = name.to_possible_value();
        sections.push(Section {
            name: value.map_or_else(String::new, |value| value.get_name().to_owned()),
            rows: name.run(&plan, !arguments.without_peers).await?,
        });
    }
    report::write(&sections, &conditions)?;
    if arguments.page {
        page::update(&sections, &conditions)?;
    }
    Ok(())
}
