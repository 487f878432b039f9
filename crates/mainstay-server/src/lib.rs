//! Mainstay over HTTP: caching, sessions, events, rate limits and locks for every language.
//!
//! The server keeps nothing itself: over Redis or Valkey run as many as you like. On a loopback
//! address it answers programs of the same machine; anywhere else it wants API keys.
//!
//! ```
//! use mainstay::Mainstay;
//! use mainstay_server::{Config, LimitConfig, Limits, run};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let mut limits = LimitConfig::default();
//! limits.policies.push("api=100/1m".parse()?);
//! let mut config = Config::default();
//! config.limits = Limits::new(limits)?;
//!
//! let stop = std::future::ready(()); // in a program: a signal
//! run(listener, Mainstay::memory(), config, stop).await?;
//! # Ok(())
//! # }
//! ```

mod api_key;
mod app;
mod bind;
mod caches;
mod config;
mod connection;
mod error;
mod extract;
mod histories;
mod limits;
mod metrics;
mod middleware;
mod problem;
mod routes;
mod serve;
mod sessions;

pub use api_key::{ApiKeyHash, InvalidApiKeyHash};
pub use bind::check_bind;
pub use config::Config;
pub use error::ServeError;
pub use histories::HistoryRule;
pub use limits::{EnvoyRule, LimitConfig, Limits};
pub use serve::run;
pub use sessions::{Secret, SessionConfig};
