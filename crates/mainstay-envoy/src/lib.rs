//! Envoy's rate limit protocol, version 3: its messages, a client and a server.
//!
//! The messages are those of gRPC, and map to JSON as protocol buffers do.
//!
//! ```
//! use mainstay_envoy::v3::RateLimitRequest;
//!
//! let request: RateLimitRequest = serde_json::from_str(
//!     r#"{"domain": "edge", "descriptors": [{"entries": [{"key": "path", "value": "/"}]}]}"#,
//! )?;
//! assert_eq!(request.descriptors[0].entries[0].key, "path");
//! # Ok::<(), serde_json::Error>(())
//! ```

/// What is compiled from `proto/rls.proto`.
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    reason = "generated; the comments are in the .proto file"
)]
pub mod v3 {
    include!(concat!(env!("OUT_DIR"), "/envoy.service.ratelimit.v3.rs"));
    include!(concat!(
        env!("OUT_DIR"),
        "/envoy.service.ratelimit.v3.serde.rs"
    ));
}
