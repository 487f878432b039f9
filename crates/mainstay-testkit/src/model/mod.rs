//! A model of how near caches, loads and invalidations keep out of each other's way.
//!
//! `stateright` walks through every order of steps within a [`Scope`] and checks the
//! [`Guarantee`]s in each state. A [`Flaw`] takes one rule out of the protocol: the checker must
//! then find a way to break a guarantee, which shows that the rule is needed, and that the check
//! would see it missing.
//!
//! # What is modelled
//! One server that runs one command at a time, one entry, perhaps with a tag; two processes, each
//! with a near cache on a tracking connection, reads, loads under leases, and writes. A write
//! commits to the source and then invalidates, on another connection than the tracked one, so that
//! its order against pushes is free, and its reply may be lost. Requests and pushes of one
//! connection keep their order and may be held up for any time. The reader of the stream takes a
//! push or a reply; the caller of a read stores what it got in a step of its own, later. Connections
//! are reset, or lost on the server's side first; entries, tags and leases expire or are evicted at
//! any moment.
//!
//! # Abstractions
//! - The value of an entry is the version that the source had when its loader read it.
//! - Time is a count of ticks that stops at one more than the bound on staleness, which is one tick.
//! - Scopes without a clock check G2 in another form: once the pushes in its stream are taken, a
//!   node serves only what Redis does at that moment. A PONG follows in the stream all that was
//!   pushed before it, so what is served after it was Redis's value when the server ran the PING,
//!   or later; and the PING was sent before that, within the bound.
//! - A connection that is reset does not poison the replies that callers have in hand; the epoch
//!   alone has to keep them out, which is the harder case.
//! - States that differ only in what no step can look at any more are one, as `tidy` says.
//! - Not modelled: a server that forgets an acknowledged write, as a failover may make it.
//! - Scopes without loads of their own let a fill happen at any moment with any version that G1
//!   allows; other scopes check that loads keep to that.
//! - The invalidation of a tag is two steps here and one in the scripts: what holds for two holds
//!   for one.
//!
//! # Bounds
//! At most two writes in all; at a time, two reads and three loads in a process; see the constants of [`Scope`].
//! `cargo test -p mainstay-testkit --test model -- --nocapture` prints the states of each.

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
