//! The server over real HTTP, on the memory backend.

mod access;
mod cache;
mod connections;
mod events;
mod limits;
mod locks;
mod metrics;
mod probes;
mod problems;
mod raw;
mod server;
mod sessions;
mod shutdown;
mod sse;
mod stream;
