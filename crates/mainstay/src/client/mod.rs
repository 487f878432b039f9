//! The entry point: opens a backend and hands out the handle of each area.

mod environment;
mod handle;
mod options;
mod url;

pub use handle::Mainstay;
pub use options::Options;
