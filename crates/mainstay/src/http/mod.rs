//! Middleware of [tower](https://docs.rs/tower) for HTTP servers, behind the feature `http`.
//!
//! The only place that knows cookies, headers and status codes.

pub mod limit;
pub mod session;
