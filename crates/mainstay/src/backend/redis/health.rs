//! What the server says of itself, and whether the links are up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use super::commander::{Commander, Effect};
use super::hub::Hub;
use super::server::ServerInfo;
use crate::backend::{Health, HealthReport, Status};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Keyspace;

/// How often the links' states are put together.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct RedisHealth {
    commander: Arc<Commander>,
    status: watch::Receiver<Status>,
    watcher: JoinHandle<()>,
    probe_key: String,
}

impl RedisHealth {
    pub(super) fn start(commander: Arc<Commander>, hub: &Arc<Hub>, keyspace: &Keyspace) -> Self {
        let events = hub.link().state();
        let look = {
            let commander = Arc::clone(&commander);
            move || {
                if commander.is_up() && events.borrow().is_up() {
                    Status::Up
                } else {
                    Status::Down
                }
            }
        };
        let (sender, status) = watch::channel(look());
        let watcher = tokio::spawn(async move {
            let mut ticks = interval(LOOK);
            loop {
                ticks.tick().await;
                let now = look();
                sender.send_if_modified(|status| std::mem::replace(status, now) != now);
            }
        });
        Self {
            commander,
            status,
            watcher,
            probe_key: keyspace.probe().to_string(),
        }
    }

    async fn examine(&self) -> Result<HealthReport> {
        let start = Instant::now();
        self.commander
            .run(&self.probe_key, &redis::cmd("PING"), Effect::Read)
            .await?;
        let round_trip = start.elapsed();
        let server = ServerInfo::read(&self.commander, &self.probe_key).await?;
        Ok(HealthReport {
            server: server.name.to_owned(),
            version: server.version.clone(),
            round_trip,
            warnings: server.warnings(),
        })
    }
}

impl Drop for RedisHealth {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

#[async_trait]
impl Health for RedisHealth {
    async fn probe(&self) -> Result<HealthReport> {
        if *self.status.borrow() == Status::Down {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "backend is not reachable: reconnecting",
            ));
        }
        self.commander.within(self.examine()).await
    }

    fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}
