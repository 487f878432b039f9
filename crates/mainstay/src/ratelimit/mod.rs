//! Rate limits that hold in any window, with an exact time to come back.
//!
//! ```
//! use std::time::Duration;
//! use mainstay::Mainstay;
//! use mainstay::ratelimit::{Policy, RetryAfter};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mainstay::Result<()> {
//! let stay = Mainstay::memory();
//! let limiter = stay.limiter(Policy::window("export", 2, Duration::from_mins(1))?);
//! assert!(limiter.check("ada").await?.is_allowed());
//! assert!(limiter.check("ada").await?.is_allowed());
//! let denied = limiter.check("ada").await?;
//! let Some(RetryAfter::After(wait)) = denied.retry_after() else {
//!     panic!("it fits later: {denied:?}");
//! };
//! assert!(wait <= Duration::from_secs(61));
//! assert!(limiter.check("bob").await?.is_allowed());
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! `mainstay_limit_decisions_total{policy, decision}`: `decision` is `allowed`, for each policy of the
//! limiter, or `denied`, for those that deny. `mainstay_limit_permits_lost_total{policy}`.
//!
//! `mainstay_limit_units_lost_total{policy}`: units that a [prepaid](Limiter::prepaid) limiter has drawn
//! and not used, and that it could not give back, or may not have: they count as used for a period.
//!
//! # Spans
//! `limit.check` with `policy`, `cost` and `outcome`: `allowed`, `denied` or `error`.

mod call;
mod decision;
mod denials;
mod lease;
mod limiter;
mod outage;
mod permit;
mod policy;
mod prepaid;
mod text;

pub use call::Call;
pub use decision::{Decision, Quota, RetryAfter, Source};
pub use lease::{PermitAttempt, PermitLease};
pub use limiter::Limiter;
pub use outage::WhenDown;
pub use permit::{Entry, Permit};
pub use policy::Policy;
pub use prepaid::PrepaidLimiter;

pub use crate::backend::Unit;
