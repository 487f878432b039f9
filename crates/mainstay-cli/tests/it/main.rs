//! The `mainstay` executable, run as its users run it.

mod cache;
mod completions;
mod input;
mod limit;
mod lock;
mod program;
mod pubsub;
mod readme;
mod serve;
mod session;
