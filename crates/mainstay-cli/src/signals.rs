//! Signals that ask this process to end.

use std::process::ExitCode;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use crate::failure::Failure;

/// Receives `SIGINT`, `SIGTERM` and, if asked for, `SIGHUP` instead of dying of them.
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: Option<unix::Signal>,
}

impl Signals {
    /// `SIGINT` and `SIGTERM`.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: receive(SignalKind::interrupt())?,
            terminate: receive(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// `SIGHUP` too.
    pub(crate) fn with_hangup(mut self) -> Result<Self, Failure> {
        self.hangup = Some(receive(SignalKind::hangup())?);
        Ok(self)
    }

    /// The next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = hangup => Signal::HUP,
        }
    }
}

fn receive(kind: SignalKind) -> Result<unix::Signal, Failure> {
    signal(kind).map_err(|source| Failure::io("cannot listen for signals", source))
}

/// The exit code that shells give to a process that died of a signal.
pub(crate) fn exit_code(signal: i32) -> ExitCode {
    u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from)
}
