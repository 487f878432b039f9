//! Runs commands: echoed first, failing with the command's own exit code.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a task stopped, and the exit code that says so.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
        }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    fn from_status(command: &Command, status: ExitStatus) -> Self {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Self {
            message: format!("`{}` failed: {status}", line(command)),
            code: code.unwrap_or(1),
        }
    }

    fn from_start(command: &Command, error: &std::io::Error) -> Self {
        Self::new(format!("cannot run `{}`: {error}", line(command)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args);
    command
}

/// Runs a command whose output goes straight to the terminal.
pub(crate) fn run(command: &mut Command) -> Outcome {
    echo(command);
    let status = command
        .status()
        .map_err(|error| Failure::from_start(command, &error))?;
    check(command, status)
}

/// What a command printed, without echo.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::from_start(command, &error))?;
    check(command, output.status)?;
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::new(format!("`{}` did not print text", line(command))))
}

/// Whether a probe exits with 0; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A command that has ended, with the lines that it wrote to its standard output.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) lines: Vec<String>,
    /// Fails with the command's exit code if it had one.
    pub(crate) outcome: Outcome,
}

/// Runs a command, passing on its standard output line by line while keeping a copy.
pub(crate) fn watch(command: &mut Command) -> Outcome<Watched> {
    echo(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::from_start(command, &error))?;
    let stdout = child.stdout.take().expect("invariant: stdout is piped");
    let mut lines = Vec::new();
    for bytes in BufReader::new(stdout).split(b'\n') {
        let bytes = bytes.map_err(|error| Failure::from_start(command, &error))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        println!("{text}");
        lines.push(text);
    }
    let status = child
        .wait()
        .map_err(|error| Failure::from_start(command, &error))?;
    Ok(Watched {
        lines,
        outcome: check(command, status),
    })
}

/// Whether a program of this name is on `PATH`.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .any(|file| is_executable(&file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn check(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() {
        Ok(())
    } else {
        Err(Failure::from_status(command, status))
    }
}

fn echo(command: &Command) {
    eprintln!("$ {}", line(command));
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted);
    environment.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{cargo, is_installed, line, read, run, watch};
    use std::process::Command;

    #[test]
    fn a_command_is_echoed_so_that_a_shell_would_accept_it() {
        let mut command = cargo(["doc", "--no-deps", "it's"]);
        command.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            line(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'"
        );
    }

    #[test]
    fn a_failing_command_passes_its_exit_code_on() {
        let failure = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(failure.code(), 7);
        assert_eq!(
            failure.to_string(),
            "`sh -c 'exit 7'` failed: exit status: 7"
        );
    }

    #[test]
    fn a_missing_program_is_a_failure_and_not_installed() {
        assert!(is_installed("sh"));
        assert!(!is_installed("mainstay-no-such-program"));
        let failure = read(&mut Command::new("mainstay-no-such-program")).unwrap_err();
        assert_eq!(failure.code(), 1);
    }

    #[test]
    fn a_watched_command_keeps_its_lines_and_its_exit_code() {
        let script = "echo one; echo two; exit 3";
        let watched = watch(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(watched.lines, ["one", "two"]);
        assert_eq!(watched.outcome.unwrap_err().code(), 3);
    }
}
