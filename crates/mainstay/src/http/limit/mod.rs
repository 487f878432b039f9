//! Rate limits before a service.
//!
//! A request that the limiter denies gets `429 Too Many Requests` with a problem document; all get the
//! headers of [`headers`], which say what is left. One that nobody can decide on, since the store does not
//! answer and the limiter has no [`when_down`](crate::ratelimit::Limiter::when_down), gets `503 Service
//! Unavailable`.
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use http::{Request, Response};
//! use mainstay::Mainstay;
//! use mainstay::http::limit::{LimitLayer, header_key};
//! use mainstay::ratelimit::Policy;
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #[derive(Clone)]
//! struct Hello;
//!
//! impl Service<Request<String>> for Hello {
//!     type Response = Response<String>;
//!     type Error = Infallible;
//!     type Future = std::future::Ready<Result<Self::Response, Infallible>>;
//!     # fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
//!     #     std::task::Poll::Ready(Ok(()))
//!     # }
//!     // ..
//!     fn call(&mut self, _: Request<String>) -> Self::Future {
//!         std::future::ready(Ok(Response::new("hello".to_owned())))
//!     }
//! }
//!
//! let limiter = Mainstay::memory().limiter(Policy::window("api", 1, Duration::from_mins(1))?);
//! let mut hello = LimitLayer::new(limiter, header_key("x-api-key"))?.layer(Hello);
//! let mut ask = || hello.call(Request::builder().header("x-api-key", "ada").body(String::new()).unwrap());
//!
//! let first = ask().await?;
//! assert_eq!(first.headers()["ratelimit-policy"], "\"api\";q=1;w=60");
//! assert!(first.headers()["ratelimit"].to_str()?.starts_with("\"api\";r=0;t=6"));
//! let second = ask().await?;
//! assert_eq!(second.status(), 429);
//! assert!(second.headers().contains_key("retry-after"));
//! # Ok(())
//! # }
//! ```
//!
//! Whom a request counts for is told by a [`RequestKey`]: a header, what authentication has left in the
//! request's extensions (a closure), or the [client's address](ClientAddress). A request without a key
//! counts for a subject that all such requests share.
//!
//! Where a round trip for each request is too much, the limiter may be a
//! [prepaid](crate::ratelimit::Limiter::prepaid) one.
//!
//! Layers may stand within others, and the fields tell the quotas of all that have decided. Each charges
//! by itself: what an outer one has taken is taken, also when an inner one denies. For all or none give
//! one layer several policies, by [`Limiter::and`](crate::ratelimit::Limiter::and).

mod address;
pub mod headers;
mod key;
mod layer;
mod limiter;
mod problem;
mod service;

pub use address::{ClientAddress, PeerAddress};
pub use key::{RequestKey, header_key};
pub use layer::LimitLayer;
pub use limiter::RequestLimiter;
pub use service::LimitService;
