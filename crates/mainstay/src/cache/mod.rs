//! Typed caching with one load a key at a time and no stale fills.
//!
//! A value that was computed before its key was set or removed never becomes visible after it:
//! the store hands out the right to fill a missing entry as a lease, which every change ends.
//!
//! ```
//! use std::time::Duration;
//! use mainstay::Mainstay;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stay = Mainstay::memory();
//! let users = stay.cache::<String>("users").ttl(Duration::from_mins(1)).build()?;
//!
//! let load = || async { Ok::<_, std::io::Error>("Ada".to_owned()) };
//! assert_eq!(users.get_or_load("7", load).await?, "Ada");
//! assert_eq!(users.get("7").await?.as_deref(), Some("Ada"));
//!
//! assert!(users.remove("7").await?);
//! assert_eq!(users.get("7").await?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! `mainstay_cache_hits_total{cache}`, `mainstay_cache_misses_total{cache}`,
//! `mainstay_cache_loads_total{cache}`, `mainstay_cache_undecodable_total{cache}`.

mod builder;
mod flight;
mod handle;
mod load;
mod section;

pub use builder::CacheBuilder;
pub use handle::Cache;

pub use crate::backend::Entry;
