//! Keeps a command from starting before the watchdog knows of it: it would outlive a holder that is
//! killed in between, for as long as it liked.
//!
//! A process of ours waits in the command's place, and becomes the command when the holder says so
//! through a pipe. It does not when the holder is gone.

use std::env;
use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{self, Command, ExitCode};

use clap::Args;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::failure::Failure;
use crate::output::complain;

const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The gate, as the holder of the lock sees it; to be kept as long as somebody may wait at it.
pub(super) struct Gate {
    waits: PipeReader,
    opens: PipeWriter,
}

impl Gate {
    pub(super) fn closed() -> io::Result<Self> {
        let (waits, opens) = io::pipe()?;
        Ok(Self { waits, opens })
    }

    /// A program and its arguments: what waits here, and then becomes the command.
    pub(super) fn before(&self, command: &[OsString]) -> io::Result<(OsString, Vec<OsString>)> {
        let program = env::current_exe()?.into_os_string();
        let ours = [
            "lock".to_owned(),
            "gate".to_owned(),
            process::id().to_string(),
        ];
        let pipe = self.waits.as_raw_fd().to_string();
        let arguments = ours.into_iter().chain([pipe, "--".to_owned()]);
        let arguments = arguments.map(OsString::from).chain(command.iter().cloned());
        Ok((program, arguments.collect()))
    }

    pub(super) fn open(&mut self) -> io::Result<()> {
        self.opens.write_all(b"!")
    }
}

#[derive(Args)]
pub(super) struct Pass {
    /// The process that opens the gate.
    holder: u32,
    /// Its end of the pipe, which nobody inherits.
    pipe: RawFd,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Pass {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(Failure::Usage("a command is missing after --".to_owned()));
        };
        self.opened().await.map_err(|source| {
            Failure::io("cannot hear from the process that holds the lock", source)
        })?;
        let error = Command::new(program).args(arguments).exec();
        complain(format_args!("cannot run {}: {error}", program.display()));
        Ok(ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
            NOT_FOUND
        } else {
            CANNOT_EXECUTE
        }))
    }

    async fn opened(&self) -> io::Result<()> {
        let path = format!("/proc/{}/fd/{}", self.holder, self.pipe);
        let mut pipe = pipe::OpenOptions::new().open_receiver(path)?;
        // Another process may have the number of a holder that is gone.
        if parent_id() != self.holder {
            return Err(io::ErrorKind::NotFound.into());
        }
        pipe.read_u8().await?;
        Ok(())
    }
}
