//! The `mainstay` executable, run as its users run it.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without fails it"
)]

mod cache;
mod channel;
mod completions;
mod input;
mod limit;
mod lock;
mod program;
mod pubsub;
mod queue;
mod readme;
mod serve;
mod serve_sessions;
mod serving;
mod session;
