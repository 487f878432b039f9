//! What a round shows besides its speed.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// A figure that says whether a fast contestant did the same work.
#[derive(Clone, Copy)]
pub(crate) enum Fact {
    /// Calls that did not load, in hundredths.
    Hits(f64),
    /// Loads of one key that all callers wanted at once.
    Loads(u64),
    /// Commands that callers sent for each of what was done.
    Commands(f64),
    /// Processor time that this process and the server took, in hundredths of one core.
    Cpu { process: f64, server: f64 },
    /// Processor time of the server for a million decisions, and what it keeps for a subject.
    Decided {
        server_seconds: f64,
        key_bytes: Option<i64>,
    },
    /// The most that was admitted in any interval of the limit's length.
    Admitted { most: u64, limit: u64 },
    /// What a request costs besides time: commands that the server runs, and processor time in
    /// microseconds.
    Request {
        commands: f64,
        process_us: f64,
        server_us: f64,
    },
    /// What the server keeps for a session: all of its memory that is taken, what it says of the
    /// keys, and how many keys those are.
    Kept {
        bytes: f64,
        key_bytes: f64,
        keys: f64,
    },
    /// From a write's end until the last reader saw it.
    SeenAfter(Duration),
}

impl Fact {
    /// The one of two that speaks less for the contestant.
    pub(crate) fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Hits(a), Self::Hits(b)) => Self::Hits(a.min(b)),
            (Self::Loads(a), Self::Loads(b)) => Self::Loads(a.max(b)),
            (Self::SeenAfter(a), Self::SeenAfter(b)) => Self::SeenAfter(a.max(b)),
            (Self::Commands(a), Self::Commands(b)) => Self::Commands(a.max(b)),
            (
                Self::Cpu { process, server },
                Self::Cpu {
                    process: other_process,
                    server: other_server,
                },
            ) => Self::Cpu {
                process: process.max(other_process),
                server: server.max(other_server),
            },
            (
                Self::Decided {
                    server_seconds: a,
                    key_bytes,
                },
                Self::Decided {
                    server_seconds: b, ..
                },
            ) => Self::Decided {
                server_seconds: a.max(b),
                key_bytes,
            },
            (
                Self::Request {
                    commands,
                    process_us,
                    server_us,
                },
                Self::Request {
                    commands: other_commands,
                    process_us: other_process_us,
                    server_us: other_server_us,
                },
            ) => Self::Request {
                commands: commands.max(other_commands),
                process_us: process_us.max(other_process_us),
                server_us: server_us.max(other_server_us),
            },
            (first, _) => first,
        }
    }

    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Hits(percent) => json!({ "hits_percent": percent }),
            Self::Loads(loads) => json!({ "loads": loads }),
            Self::Commands(commands) => json!({ "commands": commands }),
            Self::Cpu { process, server } => {
                json!({ "process_percent": process, "server_percent": server })
            }
            Self::Decided {
                server_seconds,
                key_bytes,
            } => json!({ "server_seconds_a_million": server_seconds, "key_bytes": key_bytes }),
            Self::Admitted { most, limit } => json!({ "most_admitted": most, "limit": limit }),
            Self::Request {
                commands,
                process_us,
                server_us,
            } => json!({
                "commands": commands, "process_us": process_us, "server_us": server_us,
            }),
            Self::Kept {
                bytes,
                key_bytes,
                keys,
            } => json!({ "bytes": bytes, "key_bytes": key_bytes, "keys": keys }),
            Self::SeenAfter(delay) => json!({ "seen_after_ms": delay.as_secs_f64() * 1_000.0 }),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hits(percent) => write!(f, "{percent:.1} % hits"),
            Self::Loads(1) => write!(f, "1 load"),
            Self::Loads(loads) => write!(f, "{loads} loads"),
            Self::Commands(commands) => write!(f, "{commands:.2} commands each"),
            Self::Cpu { process, server } => {
                write!(
                    f,
                    "{process:.1} % of a core here, {server:.1} % in the server"
                )
            }
            Self::Decided {
                server_seconds,
                key_bytes,
            } => {
                let digits = if *server_seconds < 1.0 { 4 } else { 1 };
                write!(f, "{server_seconds:.digits$} s of the server for a million")?;
                match key_bytes {
                    Some(bytes) => write!(f, ", {bytes} bytes a subject"),
                    None => Ok(()),
                }
            }
            Self::Admitted { most, limit } => {
                write!(f, "at most {most} of {limit} in any interval")
            }
            Self::Request {
                commands,
                process_us,
                server_us,
            } => write!(
                f,
                "{commands:.2} commands, {process_us:.0} µs of the process, {server_us:.0} µs of Redis"
            ),
            Self::Kept {
                bytes,
                key_bytes,
                keys,
            } => write!(
                f,
                "{bytes:.0} bytes a session, {key_bytes:.0} in {keys:.2} keys"
            ),
            Self::SeenAfter(delay) => {
                write!(f, "seen after {:.2} ms", delay.as_secs_f64() * 1_000.0)
            }
        }
    }
}
