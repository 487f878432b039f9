//! `mainstay completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  source <(mainstay completions bash)
  mainstay completions zsh > ~/.zfunc/_mainstay
  mainstay completions fish > ~/.config/fish/completions/mainstay.fish";

/// Prints a shell's completion script
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut Arguments::command(),
            "mainstay",
            &mut script,
        );
        output::bytes(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
