//! Rate limits that hold in any window, with an exact time to come back.
//!
//! ```
//! use std::time::Duration;
//! use mainstay::Mainstay;
//! use mainstay::ratelimit::{Decision, Policy, RetryAfter};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mainstay::Result<()> {
//! let stay = Mainstay::memory();
//! let limiter = stay.limiter(Policy::window("export", 2, Duration::from_mins(1))?);
//! assert!(limiter.check("ada").await?.is_allowed());
//! assert!(limiter.check("ada").await?.is_allowed());
//! match limiter.check("ada").await? {
//!     Decision::Denied { retry_after: RetryAfter::After(wait), .. } => {
//!         assert!(wait <= Duration::from_secs(61));
//!     }
//!     other => panic!("{other:?}"),
//! }
//! assert!(limiter.check("bob").await?.is_allowed());
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! `mainstay_limit_decisions_total{policy, decision}`: `decision` is `allowed` or `denied`.

mod decision;
mod limiter;
mod policy;

pub use decision::{Decision, RetryAfter};
pub use limiter::Limiter;
pub use policy::Policy;
