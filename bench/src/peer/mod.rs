//! Caching libraries that do the same work, each in processes of its own.
//!
//! A peer's program is started with the server's URL and the file of a [`Workload`]. It prints
//! `{"ready": true}`, then answers each line that it reads with one line, both JSON:
//!
//! - `{"do": "round", "callers": 64, "seconds": 1, "load_ms": 1}`: asks once for every warm key,
//!   then follows the workload and answers `calls`, `loads`, `per_second`, `p50_us`, `p99_us`;
//! - `{"do": "stampede", "callers": 125, "key": "k", "load_ms": 300}`: asks for one key that
//!   nobody has, and answers `loads` and `latencies_us`.
//!
//! It ends with its standard input.

mod libraries;
mod list;
mod process;
mod program;
mod workload;

pub(crate) use list::{for_rounds, for_stampedes};
pub(crate) use process::Process;
pub(crate) use program::serve;
pub(crate) use workload::Workload;
