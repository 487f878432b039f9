//! What every request sees.

use std::sync::Arc;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::pubsub::History;
use mainstay::session::Sessions;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::caches::Caches;
use crate::limits::LimitTables;
use crate::{Config, ServeError, histories};

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) stay: Mainstay,
    pub(crate) caches: Caches,
    pub(crate) sessions: Sessions<Value>,
    pub(crate) limits: LimitTables,
    pub(crate) config: Config,
    /// Whether `Host` and `Origin` are checked.
    pub(crate) loopback: bool,
    /// Cancelled when the server begins to shut down: streams end.
    pub(crate) closing: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    pub(crate) fn new(stay: Mainstay, config: Config, loopback: bool) -> Result<Self, ServeError> {
        config.validate()?;
        let sessions = config.sessions.open(&stay)?;
        let limits = LimitTables::new(stay.clone(), config.limits.clone())?;
        let caches = Caches::new(stay.clone(), config.near_cache_bytes);
        Ok(Self(Arc::new(Parts {
            stay,
            caches,
            sessions,
            limits,
            config,
            loopback,
            closing: CancellationToken::new(),
        })))
    }

    /// The history of a channel, if it keeps one.
    pub(crate) fn history(
        &self,
        channel: &str,
        buffer_bytes: usize,
    ) -> mainstay::Result<Option<History<Value>>> {
        histories::history(&self.stay, &self.config.histories, channel, buffer_bytes)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.config.request_timeout
    }
}
