//! Tasks of the workspace, run as `cargo xtask <TASK>` from anywhere inside it.

mod bench;
mod chaos;
mod check;
mod install;
mod links;
mod process;
mod report;
mod source;
mod test;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::process::{Failure, Outcome};

/// Tasks of the mainstay workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Looks at the source without running it: format, lints, docs, licences, file length, links.
    ///
    /// Stops at the first step that fails and names it. Nothing is installed and nothing is
    /// changed on disk, except for what cargo builds.
    Check,
    Test(test::Options),
    Chaos(chaos::Options),
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match enter_workspace().and_then(|()| perform(&cli.task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn perform(task: &Task) -> Outcome {
    match task {
        Task::Check => check::run(),
        Task::Test(options) => test::run(options),
        Task::Chaos(options) => chaos::run(options),
        Task::Bench(options) => bench::run(options),
    }
}

/// Makes the workspace root the current directory: every path below is relative to it.
fn enter_workspace() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("invariant: xtask is a folder of the workspace");
    std::env::set_current_dir(root)
        .map_err(|error| Failure::new(format!("cannot enter {}: {error}", root.display())))
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
