//! The server over real HTTP, on the memory backend.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod cache;
mod cache_lease;
mod cache_whole;
mod connections;
mod envoy;
mod events;
mod history;
mod limits;
mod locks;
mod metrics;
mod probes;
mod problems;
mod queues;
mod raw;
mod server;
mod sessions;
mod shutdown;
mod sse;
mod stream;
