//! Contract of the backend's own state.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::error::Result;

/// Tells whether the backend answers.
#[async_trait]
pub trait Health: Send + Sync {
    /// Asks the backend now and measures the round trip.
    async fn probe(&self) -> Result<HealthReport>;

    /// The state as the supervised connections see it; changes without being asked.
    fn watch(&self) -> watch::Receiver<Status>;
}

/// Whether calls can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Connected; the last heartbeat was answered.
    Up,
    /// Not connected: calls fail at once. It is restored without help.
    Down,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthReport {
    /// `memory`, `redis` or `valkey`.
    pub server: String,
    /// The server's version, as it says.
    pub version: String,
    /// Round trip of the probe.
    pub round_trip: Duration,
    /// Something that endangers data though calls succeed, in a sentence that says what to do.
    pub warnings: Vec<String>,
}
