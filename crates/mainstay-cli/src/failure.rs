//! Why a command could not do its work, in one line.

use std::error::Error;
use std::fmt::Write;
use std::io;

use mainstay::ErrorKind;

/// Ends a command with exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library's error.
    #[error(transparent)]
    Backend(#[from] mainstay::Error),
    /// The server does not start.
    #[error(transparent)]
    Serve(#[from] mainstay_server::ServeError),
    /// The configuration file is not what it must be.
    #[error("{path} cannot be used")]
    Config {
        /// Which one.
        path: String,
        /// Where, and what is allowed.
        source: Box<toml::de::Error>,
    },
    /// The command line asks for what cannot be; says what to do.
    #[error("{0}")]
    Usage(String),
    /// DATA is not JSON.
    #[error("the data is not JSON (a string needs quotes of its own: '\"text\"')")]
    Data(#[source] serde_json::Error),
    /// Standard output is gone or full.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// A file, a socket or a process.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }

    /// True when the reader of our output has gone, which is no failure.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The message, its sources and what to do about it, in one line.
    pub(crate) fn report(&self) -> String {
        let mut report = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !report.ends_with(&text) {
                // Writing to a String cannot fail.
                let _ = write!(report, ": {text}");
            }
            source = error.source();
        }
        if let Some(hint) = self.hint() {
            let _ = write!(report, "; {hint}");
        }
        report.replace(['\n', '\r'], " ")
    }

    fn hint(&self) -> Option<&'static str> {
        let Self::Backend(error) = self else {
            return None;
        };
        match error.kind() {
            ErrorKind::Unavailable => {
                Some("check that the server runs and that --url or MAINSTAY_URL names it")
            }
            ErrorKind::Unknown => Some("it may have taken effect: look before you repeat it"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_one_line_with_every_source() {
        let source = io::Error::other("disk\non fire");
        let failure = Failure::io("cannot read keys.txt", source);
        assert_eq!(failure.report(), "cannot read keys.txt: disk on fire");
    }

    #[test]
    fn only_a_broken_pipe_on_standard_output_is_quiet() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Failure::Output(broken()).is_broken_pipe());
        assert!(!Failure::io("cannot reach it", broken()).is_broken_pipe());
    }
}
