//! What mainstay's own tests run against.
//!
//! [`fixture`] starts the real thing: Redis and Valkey servers, Cluster and
//! Sentinel deployments, a proxy that injects network faults, and clients
//! written in other languages.
//!
//! [`suite`] holds what every backend must do; [`oracle`] judges what a run did.
//!
//! Everything here panics, with what it saw last, when the world is not as a
//! test needs it; nothing is skipped in silence.

#![expect(
    clippy::missing_panics_doc,
    reason = "every fixture panics when it cannot do what the test asked for"
)]

pub mod fixture;
pub mod model;
pub mod oracle;
pub mod suite;
