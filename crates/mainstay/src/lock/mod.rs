//! Distributed locks: leases with a fence, renewed while their guard lives.
//!
//! No lock that ends by itself excludes for certain, whatever the store: a holder can be
//! suspended past its lease and wake up. The guarantee is the [`Fence`]: send it with every
//! write, and let the resource refuse a smaller one than it has seen
//! (`UPDATE .. WHERE fence <= $1`).
//!
//! ```
//! use std::time::Duration;
//! use mainstay::Mainstay;
//! use mainstay::lock::{Acquire, Release};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mainstay::Result<()> {
//! let stay = Mainstay::memory();
//! let lock = stay.lock("nightly-report").ttl(Duration::from_secs(30)).build()?;
//! let Acquire::Acquired(guard) = lock.acquire(Duration::from_secs(10)).await? else {
//!     panic!("nobody else holds it");
//! };
//! assert!(matches!(lock.try_acquire().await?, Acquire::Held { .. }));
//!
//! let first = guard.fence();
//! assert_eq!(guard.release().await?, Release::Released);
//! let Acquire::Acquired(guard) = lock.try_acquire().await? else {
//!     panic!("it was released");
//! };
//! assert!(guard.fence() > first);
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! `mainstay_lock_acquired_total{lock}`, `mainstay_lock_refused_total{lock}`,
//! `mainstay_lock_wait_seconds{lock}` of those that were acquired, `mainstay_lock_lost_total{lock}`,
//! `mainstay_lock_broken_total{lock}`, and `mainstay_lock_held`, what this process holds. The label
//! is the name up to its first `/`: `order` for `order/17`.
//!
//! # Spans
//! `lock.acquire` (debug), with the lock's name, the wait and the outcome: `acquired`, `held` or
//! `error`. Losses and forced releases are logged as warnings.

mod attempt;
mod builder;
mod election;
mod fence;
mod fenced_value;
mod guard;
mod handle;
mod holder;
mod inspect;
mod keeper;
mod latch;
mod lease;
mod list;
mod metrics;
mod orphan;
mod read_write;
mod redlock;
mod replicas;
mod scope;
mod semaphore;
mod several;
mod validity;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use builder::Terms;
pub(crate) use keeper::Keeper;
pub(crate) use list::list;

pub use builder::LockBuilder;
pub use election::{Candidacy, Election, ElectionBuilder, Leadership};
pub use fence::Fence;
pub use fenced_value::{Fenced, FencedValue, FencedValueBuilder, FencedWrite};
pub use guard::LockGuard;
pub use handle::{Acquire, Lock};
pub use inspect::{Holding, LockBreak, LockInfo, ShareInfo};
pub use latch::{Latch, LatchBuilder, LatchWait};
pub use lease::{LeaseAttempt, LockLease, Release};
pub use list::{AnyLock, HeldLock, LockKind, LockList};
pub use read_write::{ReadWriteLock, ReadWriteLockBuilder};
pub use redlock::{AcquireMajority, Redlock, RedlockGuard};
pub use scope::With;
pub use semaphore::{Semaphore, SemaphoreBuilder};
pub use several::{AcquireAll, LockSet, LockSetBuilder, LockSetGuard};
pub use watch::{LockLost, LockWatch};
