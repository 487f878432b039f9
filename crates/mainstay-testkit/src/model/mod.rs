//! Model.

mod check;
mod flaw;
mod guarantee;
mod node;
mod protocol;
mod scope;
mod server;
mod state;
mod tidy;
mod witness;

pub use check::{Counterexample, Verdict, check, refute};
pub use flaw::Flaw;
pub use guarantee::Guarantee;
pub use scope::Scope;
