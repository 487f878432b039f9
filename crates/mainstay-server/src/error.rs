//! Why the server does not start.

use std::net::SocketAddr;

/// Says why [`run`](crate::run) or [`check_bind`](crate::check_bind) refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Other machines could reach the server, and nothing would ask who they are.
    #[error(
        "refusing to listen on {address} without authentication: \
         configure at least one API key, or listen on 127.0.0.1"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The library refused a part of the configuration.
    #[error("the configuration of sessions is not valid")]
    Sessions(#[source] mainstay::Error),
    /// The library refused one of the limits.
    #[error("a configured limit cannot be decided as it is said")]
    Limits(#[source] mainstay::Error),
    /// The listener has no address.
    #[error("the listener has no local address")]
    Listener(#[source] std::io::Error),
}
