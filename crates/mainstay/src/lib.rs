//! Caching, sessions, pub/sub, queues, rate limits and distributed locks for services, in-process
//! or on Redis and Valkey.
//!
//! One handle, [`Mainstay`], opens a backend by its URL and hands out typed handles for each
//! area. The same code runs on `memory:` with nothing installed and on `redis://`, Sentinel or
//! Cluster without a change.
//!
//! ```
//! use std::time::Duration;
//! use mainstay::Mainstay;
//! use mainstay::lock::Acquire;
//! use mainstay::ratelimit::Policy;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stay = Mainstay::connect("memory:").await?;
//!
//! let squares = stay.cache::<u64>("squares").ttl(Duration::from_mins(1)).build()?;
//! let square = squares.get_or_load("12", || async { Ok::<_, std::io::Error>(144) }).await?;
//! assert_eq!(square, 144);
//!
//! let sessions = stay.sessions::<String>().build()?;
//! let issued = sessions.create("ada", &"engineer".to_owned()).await?;
//! let session = sessions.load(&issued.id).await?.ok_or("no session")?;
//! assert_eq!((session.user.as_deref(), session.data.as_str()), (Some("ada"), "engineer"));
//!
//! let limiter = stay.limiter(Policy::window("api", 100, Duration::from_mins(1))?);
//! assert!(limiter.check("ada").await?.is_allowed());
//!
//! let lock = stay.lock("nightly-report").build()?;
//! let Acquire::Acquired(guard) = lock.try_acquire().await? else {
//!     return Err("held by another".into());
//! };
//! assert!(guard.check().is_ok());
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Rules that hold everywhere
//! - A refusal is a value (`None`, [`Held`](lock::Acquire::Held), a
//!   [`Decision`](ratelimit::Decision)), never an [`Error`].
//! - Every call ends within the command timeout of [`Options`], or within the wait it was given;
//!   while the backend is down it says so at once.
//! - A call whose reply was lost is [`ErrorKind::Unknown`], and is sent again only where sending
//!   it twice is harmless.
//! - Every key that is written has a time to live.
//!
//! # Features
//! - `http`: tower middleware (sessions, limits); `axum`: the same, with what it needs to know of axum.
//! - `macros` (default): the attribute macro [`cached`].
//! - `redis` (default): Redis and Valkey as the backend, with TLS.
//! - `tower-sessions`: a store for services that are built on tower-sessions.
//!
//! # Metrics
//! Counters go through the [`metrics`] facade and are free when no recorder is installed; each
//! module lists its own.

pub mod backend;
pub mod cache;
pub mod clock;
pub mod codec;
#[cfg(feature = "http")]
pub mod http;
pub mod lock;
pub mod pubsub;
pub mod queue;
pub mod ratelimit;
pub mod session;

#[cfg(feature = "macros")]
mod cached;
mod client;
mod error;
mod key;
mod random;
mod ttl;

#[cfg(feature = "redis")]
#[doc(hidden)]
pub use backend::redis::raw_link;
#[cfg(feature = "macros")]
pub use cached::cached;
pub use client::{Mainstay, Options};
pub use error::{Error, ErrorKind, Result, Retry};
pub use key::{AsKey, Key, Name, Namespace, StoreKey};
pub use ttl::Ttl;

/// The README's example runs with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The guide's examples, as well.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/cache.md")]
struct CacheGuide;

/// And those of the guide to channels.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/channels.md")]
struct ChannelGuide;

/// And those of the guide to locks.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/locks.md")]
struct LockGuide;

/// And those of the guide to queues.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/queues.md")]
struct QueueGuide;

/// And those of the guide to limits.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/limits.md")]
struct LimitGuide;

/// And those of the guide to sessions.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/sessions.md")]
struct SessionGuide;
