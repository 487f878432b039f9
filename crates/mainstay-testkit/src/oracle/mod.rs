//! Judges of histories: what a run was allowed to do, worked out without the code under test.

pub mod limit;
mod lock;
mod window;

pub use lock::{Held, check_locks};
pub use window::{Admission, most_in_any_window};
