//! The `mainstay` command: the server, and every area of the library from a shell.

mod arguments;
mod child;
mod command;
mod config_file;
mod failure;
mod logging;
mod output;
mod quantity;
mod secret;
mod signals;
mod store;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(&arguments);
    match run(arguments) {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(failure.report());
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::io("cannot start the runtime", source))?
        .block_on(arguments.command.run(&arguments.global))
}
