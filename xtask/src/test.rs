//! `cargo xtask test`: every test, with real servers and clients.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::process::{self, Failure, Outcome, cargo};
use crate::report::{Report, Totals};
use crate::{install, source};

/// Where tests note, one line each, the behaviours that a backend cannot show.
const SKIPPED: &str = "target/behaviours-skipped.txt";

/// Installs the servers and clients that the tests drive, then runs every test.
///
/// Needed and installed if missing: redis-server, valkey-server, curl, python3, nodejs, npm,
/// golang-go, chromium and chromium-driver (apt); redis-py and grpcio in a virtual environment and
/// ioredis in a folder, both under target/clients, where the program in Go is compiled too. Each
/// command is printed before it is run. Root or passwordless sudo is needed only if something has
/// to come from apt.
///
/// Tests start their own servers on free ports; none has to be running. At the end stands how many
/// behaviours ran on each backend. The run fails if a test fails or is ignored, if a backend ran no
/// behaviour, or if a backend neither ran a behaviour of the others nor says why not.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run only tests whose name contains this text; may be given more than once.
    ///
    /// What is then said about behaviours covers these tests alone, and is not checked.
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Stop after installing.
    #[arg(long, conflicts_with = "filter")]
    install_only: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let clients = install::all()?;
    if options.install_only {
        return Ok(());
    }
    forget_skipped()?;

    let workspace = process::watch(
        cargo(["test", "--workspace", "--no-fail-fast", "--"])
            .args(&options.filter)
            .env("RUST_TEST_THREADS", threads())
            .envs(clients.environment()),
    )?;
    let bare = process::watch(
        cargo([
            "test",
            "--package",
            "mainstay",
            "--no-default-features",
            "--lib",
            "--no-fail-fast",
            "--",
        ])
        .args(&options.filter),
    )?;

    let report = Report::new(&workspace.lines, &skipped()?)?;
    println!("\n{report}");
    let totals = Totals::of(workspace.lines.iter().chain(&bare.lines));
    println!("tests: {totals}");

    workspace.outcome?;
    bare.outcome?;
    totals.none_ignored()?;
    if options.filter.is_empty() {
        report.check()
    } else if totals.run() == 0 {
        Err(Failure::new("no test has such a name"))
    } else {
        Ok(())
    }
}

/// One more than there are processors: the longest tests wait for servers and clocks most of their time.
fn threads() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors + 1).to_string()
}

fn forget_skipped() -> Outcome {
    fs::create_dir_all("target")
        .and_then(|()| match fs::remove_file(SKIPPED) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        })
        .map_err(|error| Failure::new(format!("cannot remove {SKIPPED}: {error}")))
}

fn skipped() -> Outcome<String> {
    let file = Path::new(SKIPPED);
    if file.exists() {
        source::read(file)
    } else {
        Ok(String::new())
    }
}
