//! A command in a process group of its own.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Command;

use crate::output::complain;
use crate::signals;

/// The command and everything that it started, unless that left the group.
pub(crate) struct Group {
    leader: tokio::process::Child,
    id: Pid,
}

impl Group {
    /// Starts the command with some more variables in its environment.
    pub(crate) fn spawn(
        program: &OsString,
        arguments: &[OsString],
        variables: &[(&str, String)],
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .process_group(0);
        if io::stdin().is_terminal() {
            // The terminal stops a group that is not its own as soon as it reads.
            command.stdin(Stdio::null());
        }
        let leader = command.spawn()?;
        let id = leader
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the new process has no id"))?;
        Ok(Self { leader, id })
    }

    /// The group's number.
    pub(crate) fn id(&self) -> Pid {
        self.id
    }

    /// Waits for the command, not for what it left running. Cancel safe.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.leader.wait().await
    }

    /// Sends a signal to all of the group.
    pub(crate) fn signal(&self, signal: Signal) {
        match send(self.id, signal) {
            // That it has ended, `wait` tells.
            Ok(_) => {}
            Err(error) => complain(format_args!("cannot signal the command: {error}")),
        }
    }

    /// Asks the whole group to end, and kills what is left of it after `grace`.
    pub(crate) async fn end(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        self.signal(Signal::TERM);
        let gone = async {
            // Reaps the leader, which would count as a member otherwise. An error comes again below.
            let _ = self.leader.wait().await;
            while is_there(self.id) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(grace, gone).await.is_err() {
            self.signal(Signal::KILL);
        }
        self.leader.wait().await
    }
}

/// Sends a signal to all of a group; false when none of it is left.
///
/// # Errors
/// When what is left must not be signalled: it has become another user's.
pub(crate) fn send(group: Pid, signal: Signal) -> io::Result<bool> {
    match kill_process_group(group, signal) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether anything of a group is left, whoever owns it.
pub(crate) fn is_there(group: Pid) -> bool {
    test_kill_process_group(group) != Err(Errno::SRCH)
}

/// The exit code that passes on how the command ended.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
        (None, Some(signal)) => signals::exit_code(signal),
        (None, None) => ExitCode::FAILURE,
    }
}
