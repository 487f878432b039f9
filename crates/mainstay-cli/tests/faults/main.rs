//! What the command line must keep to while its processes are killed.
//!
//! Runs in a short form; with `MAINSTAY_CHAOS=full` in a long one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../it/program.rs"]
#[expect(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
mod program;
#[path = "../it/serving.rs"]
#[expect(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
mod serving;

mod locks;
mod realtime;
