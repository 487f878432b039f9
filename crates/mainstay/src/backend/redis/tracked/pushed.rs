//! The server tells of changes: `CLIENT TRACKING` in its default mode.
//!
//! Every read on the connection is tracked, so a read costs no further command, and the changes
//! that are made between two commands of one read arrive before its last reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, Pipeline, PushInfo, PushKind, RedisError, Value};

use super::Setup;
use crate::backend::redis::link::{Hooks, check_pong};
use crate::backend::{Lane, Watchers};
use crate::clock::Clock;

/// Turns invalidations into changes, and proves with each heartbeat that they would arrive.
pub(super) struct Pushed {
    lane: Arc<Lane>,
    watchers: Arc<Watchers>,
    clock: Arc<dyn Clock>,
    /// A channel that only this connection knows.
    probe_channel: String,
    probes_sent: AtomicU64,
    probe_heard: AtomicU64,
}

impl Pushed {
    pub(super) fn new(setup: &Setup, lane: Arc<Lane>) -> Self {
        Self {
            lane,
            watchers: Arc::clone(&setup.watchers),
            clock: Arc::clone(&setup.clock),
            probe_channel: format!("mainstay-probe:{}", crate::random::token()),
            probes_sent: AtomicU64::new(0),
            probe_heard: AtomicU64::new(0),
        }
    }

    /// A push that the connection sends to itself must be there before the `PONG`, and with it
    /// every invalidation of before: something on the way that answers but loses pushes is found
    /// out.
    async fn prove(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let sent = self.clock.now();
        let probe = self.probes_sent.fetch_add(1, Ordering::SeqCst) + 1;
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("PUBLISH").arg(&self.probe_channel).arg(probe);
        commands.cmd("PING");
        let replies = connection.send_packed_commands(&commands, 0, 2).await?;
        for (reply, is_pong) in replies.into_iter().zip([false, true]) {
            let reply = reply.extract_error()?;
            if is_pong {
                check_pong(reply)?;
            }
        }
        if self.probe_heard.load(Ordering::SeqCst) < probe {
            return Err(RedisError::from((
                ErrorKind::Io,
                "pushes do not arrive on this connection",
            )));
        }
        self.lane.confirm(sent);
        Ok(())
    }
}

#[async_trait]
impl Hooks for Pushed {
    async fn on_connect(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON");
        let set_up = async {
            connection
                .send_packed_command(&tracking)
                .await?
                .extract_error()?;
            connection.subscribe(&self.probe_channel).await?;
            self.prove(connection).await
        };
        set_up.await.inspect_err(|error| {
            if !error.is_io_error() && !error.is_connection_dropped() {
                tracing::warn!(
                    %error,
                    "near caches are off: the server refuses client tracking or a channel of ours"
                );
            }
        })
    }

    fn on_push(&self, push: PushInfo) {
        match (push.kind, push.data.as_slice()) {
            (PushKind::Invalidate, [Value::Array(keys)]) => {
                for key in keys {
                    if let Value::BulkString(key) = key
                        && let Ok(key) = std::str::from_utf8(key)
                    {
                        self.watchers.changed(key);
                    }
                }
            }
            // Everything was flushed.
            (PushKind::Invalidate, _) => self.on_down(),
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(probe)])
                if *channel == self.probe_channel.as_bytes() =>
            {
                let probe = std::str::from_utf8(probe).ok().and_then(|t| t.parse().ok());
                if let Some(probe) = probe {
                    self.probe_heard.fetch_max(probe, Ordering::SeqCst);
                }
            }
            _ => {}
        }
    }

    async fn heartbeat(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        self.prove(connection).await
    }

    fn on_down(&self) {
        self.lane.interrupt();
        self.watchers.flushed();
    }
}
