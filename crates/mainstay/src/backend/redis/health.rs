//! What the server says of itself, and whether the links are up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use super::commander::{Commander, Effect};
use super::hub::Hub;
use super::reply;
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
        self.ask(&["PING"]).await?;
        let round_trip = start.elapsed();
        let info = reply::text(self.ask(&["INFO", "server"]).await?)?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let (server, version) = match field("valkey_version") {
            Some(version) => ("valkey", version),
            None => ("redis", field("redis_version").unwrap_or("unknown")),
        };
        let memory = reply::text(self.ask(&["INFO", "memory"]).await?)?;
        let evicts = memory
            .lines()
            .find_map(|line| line.strip_prefix("maxmemory_policy:"))
            .map(str::trim)
            .filter(|policy| *policy != "noeviction");
        let is_limited = !memory.lines().any(|line| line.trim() == "maxmemory:0");
        Ok(HealthReport {
            server: server.to_owned(),
            version: version.to_owned(),
            round_trip,
            warnings: evicts
                .filter(|_| is_limited)
                .map(|policy| {
                    format!(
                        "maxmemory-policy is {policy}: under memory pressure the server may evict \
                         locks and sessions; set it to noeviction, or cache on another server"
                    )
                })
                .into_iter()
                .collect(),
        })
    }

    async fn ask(&self, words: &[&str]) -> Result<redis::Value> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        self.commander
            .run(&self.probe_key, &command, Effect::Read)
            .await
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
