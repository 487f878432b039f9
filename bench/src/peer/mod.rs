//! Libraries that do the same work, each in processes of its own.
//!
//! A peer's program is started with the server's URL and the file of a [`Workload`]. It prints
//! `{"ready": true}`, then answers each line that it reads with one line, both JSON:
//!
//! - `{"do": "round", "callers": 64, "seconds": 1, "load_ms": 1}`: asks once for every warm key,
//!   then follows the workload and answers `calls`, `loads`, `per_second`, `p50_us`, `p99_us`;
//! - `{"do": "stampede", "callers": 125, "key": "k", "load_ms": 300}`: asks for one key that
//!   nobody has, and answers `loads` and `latencies_us`;
//! - `{"do": "pairs", "callers": 8, "seconds": 1}`: each caller acquires and releases a lock of its
//!   own in a loop, and the answer is `per_second`, `p50_us`, `p99_us`;
//! - `{"do": "wait", "waiters": 500}`: holds one lock and answers `{}` when all wait for it;
//!   `{"do": "hand-offs"}` releases it, and each of them does so as soon as it has it: `seconds`
//!   altogether, and `latencies_us` from each release to the next acquisition;
//! - `{"do": "listen"}`: the answer is the `port` of an HTTP server, where `POST /log-in/{user}` begins
//!   a session and `GET /me` tells what is in it.
//!
//! Those of locks and sessions are given `-` for a workload.
//!
//! It ends with its standard input.

mod libraries;
mod list;
mod process;
mod program;
mod workload;

pub(crate) use list::{
    Peer, for_limits, for_locks, for_log_ins, for_requests, for_rounds, for_stampedes,
};
pub(crate) use process::Process;
pub(crate) use program::serve;
pub(crate) use workload::Workload;
