//! What an operator can set.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::{ApiKeyHash, HistoryRule, Limits, ServeError, SessionConfig};

/// The server's settings; the default needs no change on a developer's machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen, for the program that binds: 127.0.0.1:7878.
    pub listen: SocketAddr,
    /// The rate limits that `/v1/limits/{policy}:check` and Envoy can ask: none.
    pub limits: Limits,
    /// The channels that keep what is published, the first rule that applies to a channel: none.
    pub histories: Vec<HistoryRule>,
    /// Who may call, by the header `X-Api-Key`; with none everybody may, on loopback only.
    pub api_keys: Vec<ApiKeyHash>,
    /// Names besides `localhost` and loopback addresses that `Host` and `Origin` may carry while
    /// the server listens on loopback; without a port. None.
    pub allowed_hosts: Vec<String>,
    /// Longest request body: 1 MiB.
    pub max_body_bytes: usize,
    /// What the near caches of all caches together may take in this process, shared out equally
    /// among 64: 64 MiB. Below 4 MiB there are none.
    pub near_cache_bytes: usize,
    /// Until a request is answered with `timeout`: 10 s. A lock's `wait` comes on top; a stream
    /// has it until it starts.
    pub request_timeout: Duration,
    /// Connections at a time; more wait in the listener's backlog: 10,000.
    pub max_connections: NonZeroUsize,
    /// How long open requests may take to finish after the shutdown began: 10 s.
    pub drain: Duration,
    /// How long sessions live, how many a user may have, and what keeps them apart.
    pub sessions: SessionConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7878)),
            limits: Limits::default(),
            histories: Vec::new(),
            api_keys: Vec::new(),
            allowed_hosts: Vec::new(),
            max_body_bytes: 1 << 20,
            near_cache_bytes: 64 << 20,
            request_timeout: Duration::from_secs(10),
            max_connections: const { NonZeroUsize::new(10_000).expect("invariant: not zero") },
            drain: Duration::from_secs(10),
            sessions: SessionConfig::default(),
        }
    }
}

impl Config {
    /// Refuses what contradicts itself.
    ///
    /// [`run`](crate::run) checks it too; ask here to fail before binding.
    ///
    /// # Errors
    /// [`ServeError`], which says what is wrong.
    pub fn validate(&self) -> Result<(), ServeError> {
        if self.request_timeout.is_zero() {
            return Err(ServeError::Config(
                "request_timeout is zero: no request could be answered".into(),
            ));
        }
        if ApiKeyHash::any_matches(&self.api_keys, b"") {
            return Err(ServeError::Config(
                "an API key hash is that of an empty key, which everybody knows".into(),
            ));
        }
        if let Some(host) = self.allowed_hosts.iter().find(|host| !is_host(host)) {
            return Err(ServeError::Config(format!(
                "allowed host {host:?} is not a host name: write it without scheme and port"
            )));
        }
        self.sessions.validate()
    }
}

fn is_host(text: &str) -> bool {
    text.parse::<axum::http::uri::Authority>()
        .is_ok_and(|authority| authority.host() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut Config)) -> Option<String> {
        let mut config = Config::default();
        change(&mut config);
        config.validate().err().map(|error| error.to_string())
    }

    #[test]
    fn the_default_is_valid() {
        assert_eq!(message(|_| ()), None);
    }

    #[test]
    fn the_hash_of_an_empty_key_is_refused() {
        let refused = message(|config| config.api_keys.push(ApiKeyHash::of("")));
        assert!(refused.is_some_and(|text| text.contains("empty key")));
    }

    #[test]
    fn an_allowed_host_has_neither_scheme_nor_port() {
        for wrong in ["http://plant", "plant:80", ""] {
            let message = message(|config| config.allowed_hosts.push(wrong.into()));
            assert!(message.is_some_and(|text| text.contains(&format!("{wrong:?}"))));
        }
        assert_eq!(
            message(|c| c.allowed_hosts.push("plant.example".into())),
            None
        );
    }
}
