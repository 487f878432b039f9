//! What is measured, one file a scenario.

pub(crate) mod get;
pub(crate) mod hot;
pub(crate) mod http;
pub(crate) mod limit;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod near;
pub(crate) mod peers;
pub(crate) mod session;
pub(crate) mod stampede;
pub(crate) mod tracked;

pub(crate) mod connection;
mod redis_benchmark;
