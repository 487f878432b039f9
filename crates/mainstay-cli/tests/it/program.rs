//! Runs the executable.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

/// A command without what the surroundings of the tests would tell it.
pub(crate) fn mainstay<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    for variable in [
        "MAINSTAY_URL",
        "MAINSTAY_API_KEY_FILE",
        "MAINSTAY_CONFIG",
        "MAINSTAY_SESSION_SECRET",
        "MAINSTAY_SESSION_KEYS",
        "REDIS_URL",
        "REDIS_HOST",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The command against a backend.
pub(crate) fn on(url: &str, arguments: &[&str]) -> Command {
    let mut command = mainstay(arguments);
    command.env("MAINSTAY_URL", url);
    command
}

/// How a command ended: its code, standard output and standard error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Ended {
    command.output().unwrap().into()
}

/// Starts a command whose outputs are read.
pub(crate) fn start(mut command: Command) -> Running {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    adopt(command.spawn().unwrap())
}

/// Makes sure that a started command ends with the test.
pub(crate) fn adopt(child: Child) -> Running {
    Running(Some(child))
}

/// Runs a command to its end with something on its standard input.
pub(crate) fn run_with_input(mut command: Command, input: &[u8]) -> Ended {
    let mut running = start({
        command.stdin(Stdio::piped());
        command
    });
    running
        .child()
        .stdin
        .take()
        .unwrap()
        .write_all(input)
        .unwrap();
    running.end()
}

/// A command that is killed should the test fail.
#[derive(Debug)]
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("invariant: taken only by end")
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&mut self, name: &str) {
        let id = self.child().id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let child = self.0.take().expect("invariant: taken only here");
        child.wait_with_output().unwrap().into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Both fail only when it is gone already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
