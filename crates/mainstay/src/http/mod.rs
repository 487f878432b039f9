//! Middleware of [tower](https://docs.rs/tower) for HTTP servers, behind the feature `http`.
//!
//! The only place that knows headers and status codes.

pub mod limit;
