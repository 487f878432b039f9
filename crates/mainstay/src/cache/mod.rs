//! Typed caching: coherent near caches, one load a key over all processes, stale serving, tags.
//!
//! What holds, on every backend:
//!
//! - A value that was computed before its key, or one of its tags, was invalidated never becomes
//!   visible after it, neither in the store nor in a near cache.
//! - A near hit was the store's current value at some time within
//!   [`max_staleness`](Near::max_staleness). When that cannot be known, near hits stop.
//! - One loader a key runs at a time, over all processes, while its lease lives.
//! - A process reads what it wrote.
//! - Clocks of two machines are never compared.
//!
//! ```
//! use std::time::Duration;
//! use mainstay::Mainstay;
//! use mainstay::cache::Near;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stay = Mainstay::memory();
//! let users = stay
//!     .cache::<String>("users")
//!     .ttl(Duration::from_mins(1))
//!     .tags(|name: &String| [format!("initial/{}", &name[..1])])
//!     .near(Near::new(64 << 20))
//!     .build()?;
//!
//! let load = || async { Ok::<_, std::io::Error>("Ada".to_owned()) };
//! assert_eq!(users.get_or_load("7", load).await?, "Ada");
//! assert_eq!(users.get("7").await?.as_deref(), Some("Ada"));
//!
//! users.invalidate_tags(["initial/A"]).await?;
//! assert_eq!(users.get("7").await?, None);
//! # Ok(())
//! # }
//! ```
//!
//! What a service has to do so that this holds, and what can still go wrong, is in the guide,
//! `docs/guide/cache.md` of the repository.
//!
//! # Metrics
//! `mainstay_cache_hits_total{cache, tier=near|remote}`, and with the label `cache` alone
//! `mainstay_cache_` followed by `misses`, `loads`, `load_failures`, `waits`, `stale_served`,
//! `early_refreshes`, `superseded`, `not_stored`, `undecodable`, `invalidations`, `checked` or
//! `incoherent`, and `_total`: see [`CacheStats`].

mod batch;
mod builder;
mod chores;
mod counters;
mod entries;
mod envelope;
mod flight;
mod handle;
mod invalidate;
mod load;
mod loaded;
mod loading;
mod manual;
mod many;
mod near;
mod obtain;
mod policy;
mod resident;
mod section;
mod spread;
mod store;
mod table;
mod tags;
mod waiters;

pub use builder::CacheBuilder;
pub use counters::CacheStats;
pub use handle::Cache;
pub use loaded::{Fetched, Lookup, Source, StaleReason};
pub use manual::{Acquire, LoadLease};
pub use near::Near;
pub use store::EntryOptions;

pub use crate::backend::{Entry, Fill};
