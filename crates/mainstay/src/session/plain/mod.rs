//! Sessions in the layout of the plain recipe, for programs that share them without mainstay.

mod builder;
mod handle;
mod text;

pub use builder::PlainSessionsBuilder;
pub use handle::PlainSessions;
