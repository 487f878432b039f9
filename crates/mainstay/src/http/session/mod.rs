//! Sessions of browsers and API clients before a service.
//!
//! [`SessionLayer`] reads a request's [cookie](SessionCookie) or bearer token and hands on a
//! [`CurrentSession`], which is loaded when something first asks for it: a request that needs no session
//! costs no call of the store, and neither does a [signed](crate::session::SessionsBuilder::signed_by) token
//! that nobody issued. Log-in, log-out, changes and new ids are calls of the handle, done in the store when
//! they return; the layer adds `Set-Cookie`, `Cache-Control: no-store` and, on log-out, `Clear-Site-Data` to
//! the response.
//!
//! With the feature `axum`, [`CurrentSession`], `Option<CurrentSession>` and [`RequireSession`] are extractors:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::Router;
//! use axum::routing::{get, post};
//! use mainstay::Mainstay;
//! use mainstay::http::session::{CurrentSession, RequireSession, SessionLayer, SessionRejection};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Claims {
//!     visits: u32,
//! }
//!
//! async fn log_in(mut session: CurrentSession<Claims>) -> Result<(), SessionRejection> {
//!     // .. once the password was checked
//!     session.log_in("ada", &Claims::default()).await
//! }
//!
//! async fn home(mut session: RequireSession<Claims>) -> Result<String, SessionRejection> {
//!     let visits = session.update(|claims| {
//!         claims.visits += 1;
//!         claims.visits
//!     });
//!     let visits = visits.await?;
//!     Ok(format!("visit {visits} of {}", session.user().unwrap_or_default()))
//! }
//!
//! # fn main() -> mainstay::Result<()> {
//! let sessions = Mainstay::memory().sessions::<Claims>().build()?;
//! let app: Router = Router::new()
//!     .route("/log-in", post(log_in))
//!     .route("/", get(home))
//!     .layer(SessionLayer::new(sessions));
//! # Ok(()) }
//! # }
//! ```
//!
//! While the store does not answer a request for a session gets `503 Service Unavailable`: nobody is
//! treated as logged out. A request whose session was ended meanwhile gets `401`, and its response sets no
//! cookie.
//!
//! # Metrics
//! `mainstay_session_csrf_refused_total`.

mod cookie;
mod current;
#[cfg(feature = "axum")]
mod extract;
mod layer;
mod rejection;
mod service;
mod visit;

pub use cookie::{SameSite, SessionCookie};
pub use current::CurrentSession;
#[cfg(feature = "axum")]
pub use extract::RequireSession;
pub use layer::SessionLayer;
pub use rejection::SessionRejection;
pub use service::SessionService;
