//! Redis and Valkey: one node, Sentinel, or Cluster.
//!
//! [`link`] keeps one connection to one node alive; [`commander`] decides which link a command
//! takes and whether it may be sent again; each area's store speaks through the commander with
//! one script a decision; [`hub`] carries subscriptions on a connection of their own.

mod cache;
mod calls;
mod channel;
mod cluster;
mod commander;
mod config;
mod error;
mod fenced;
mod health;
mod history;
mod hub;
mod latch;
mod limit;
mod link;
mod lock;
mod plain_session;
mod probe;
mod queue;
mod reply;
mod scan;
mod script;
mod sentinel;
mod server;
mod session;
mod slots;
mod tracked;

pub(crate) use config::{RedisConfig, Topology};
#[doc(hidden)]
pub use link::raw_link;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::{Invalidation, Stores, Watchers};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Keyspace;
use commander::Connections;
use server::ServerInfo;
use tracked::Method;

/// Times that bound every call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For one connection attempt, handshake included.
    pub(crate) connect: Duration,
    /// For one call, its repetitions included.
    pub(crate) command: Duration,
    /// How often a call may be repeated.
    pub(crate) retries: u32,
}

/// How near caches hear of changes.
#[derive(Debug, Clone)]
pub(crate) struct NearSetup {
    method: Method,
    clock: Arc<dyn Clock>,
    watchers: Arc<Watchers>,
    probe_key: String,
}

impl NearSetup {
    pub(crate) fn new(
        invalidation: Invalidation,
        clock: Arc<dyn Clock>,
        keyspace: &Keyspace,
    ) -> Self {
        let method = match invalidation {
            Invalidation::Tracking => Method::Tracking,
            Invalidation::Announcements => Method::Announcements(keyspace.changes().to_string()),
        };
        Self {
            method,
            clock,
            watchers: Arc::default(),
            probe_key: keyspace.probe().to_string(),
        }
    }
}

/// Opens the stores and starts to connect. Waits for the connection when `patience` is given.
pub(crate) async fn open(
    config: RedisConfig,
    limits: Limits,
    near: NearSetup,
    keyspace: &Keyspace,
    patience: Option<Duration>,
) -> Result<Stores> {
    tracing::debug!(target = %config, "opening redis backend");
    if near.method != Method::Tracking && matches!(config.topology, Topology::Cluster(_)) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "invalidation=announcements needs one counter for all keys, which a cluster has not: \
             use invalidation=tracking",
        ));
    }
    let announced = match &near.method {
        Method::Tracking => None,
        Method::Announcements(channel) => Some(channel.clone()),
    };
    let (watchers, clock) = (Arc::clone(&near.watchers), Arc::clone(&near.clock));
    let Connections {
        commander,
        hub,
        tracked,
    } = Connections::start(&config, limits, near);
    if let Some(patience) = patience {
        let deadline = Instant::now() + patience;
        commander.wait_up(deadline).await?;
        hub.wait_up(deadline).await?;
        let server = ServerInfo::read(&commander, keyspace.probe().as_str()).await?;
        server.check_version()?;
        for warning in server.warnings() {
            tracing::warn!(server = server.name, version = server.version, "{warning}");
        }
    }
    Ok(Stores {
        cache: Arc::new(cache::RedisCache::new(
            Arc::clone(&commander),
            tracked,
            watchers,
            announced,
        )),
        sessions: Arc::new(session::RedisSessions::new(Arc::clone(&commander))),
        plain_sessions: Arc::new(plain_session::RedisPlainSessions::new(
            Arc::clone(&commander),
            limits,
        )),
        channels: Arc::new(channel::RedisChannels::new(
            Arc::clone(&commander),
            Arc::clone(&hub),
            limits,
        )),
        histories: Arc::new(history::RedisHistories::new(
            Arc::clone(&commander),
            Arc::clone(&hub),
            limits,
        )),
        limits: Arc::new(limit::RedisLimits::new(Arc::clone(&commander), clock)),
        locks: Arc::new(lock::RedisLocks::whole(
            Arc::clone(&commander),
            Arc::clone(&hub),
            limits,
        )),
        shares: Arc::new(lock::RedisLocks::shared(
            Arc::clone(&commander),
            Arc::clone(&hub),
            limits,
        )),
        latches: Arc::new(latch::RedisLatches::new(
            Arc::clone(&commander),
            Arc::clone(&hub),
            limits,
        )),
        fenced: Arc::new(fenced::RedisFenced::new(Arc::clone(&commander))),
        queues: Arc::new(queue::RedisQueues::new(
            Arc::clone(&commander),
            Arc::clone(&hub),
            limits,
        )),
        health: Arc::new(health::RedisHealth::start(commander, &hub, keyspace)),
    })
}
