//! Health of memory: always up.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::backend::{Health, HealthReport, Status};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct MemoryHealth {
    status: watch::Sender<Status>,
}

impl MemoryHealth {
    pub(super) fn new() -> Self {
        Self {
            status: watch::Sender::new(Status::Up),
        }
    }
}

#[async_trait]
impl Health for MemoryHealth {
    async fn probe(&self) -> Result<HealthReport> {
        Ok(HealthReport {
            server: "memory".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            round_trip: Duration::ZERO,
            warnings: Vec::new(),
        })
    }

    fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }
}
