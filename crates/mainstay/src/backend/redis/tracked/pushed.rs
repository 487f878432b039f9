//! The server tells of changes: `CLIENT TRACKING` in its default mode.
//!
//! Every read on the connection is tracked, so a read costs no further command, and the changes
//! that are made between two commands of one read arrive before its last reply.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use redis::{ErrorKind, Pipeline, PushInfo, PushKind, RedisError, Value};

use super::Setup;
use crate::backend::redis::cluster::Cluster;
use crate::backend::redis::config::Address;
use crate::backend::redis::error::refusal;
use crate::backend::redis::link::{Hooks, Wire, check_pong};
use crate::backend::unpoisoned::lock;
use crate::backend::{Lane, Watchers};
use crate::clock::Clock;

/// A node of a Cluster: one that the others have replaced, or that has lost sight of most of them,
/// refuses to read a key, and does not hear of every write.
pub(super) struct Member {
    pub(super) cluster: Arc<Cluster>,
    pub(super) address: Address,
    /// How the key begins that is read to see that.
    pub(super) probe_key: String,
}

/// Turns invalidations into changes, and proves with each heartbeat that they would arrive.
pub(super) struct Pushed {
    lane: Arc<Lane>,
    watchers: Arc<Watchers>,
    clock: Arc<dyn Clock>,
    member: Option<Member>,
    /// A channel that only this connection knows.
    probe_channel: String,
    /// A key that the node serves, in a Cluster.
    served_key: Mutex<Option<String>>,
    probes_sent: AtomicU64,
    probe_heard: AtomicU64,
}

impl Pushed {
    pub(super) fn new(setup: &Setup, lane: Arc<Lane>, member: Option<Member>) -> Self {
        Self {
            lane,
            watchers: Arc::clone(&setup.watchers),
            clock: Arc::clone(&setup.clock),
            member,
            probe_channel: format!("mainstay-probe:{}", crate::random::token()),
            served_key: Mutex::default(),
            probes_sent: AtomicU64::new(0),
            probe_heard: AtomicU64::new(0),
        }
    }

    /// A push that the connection sends to itself must be there before the `PONG`, and with it
    /// every invalidation of before: something on the way that answers but loses pushes is found
    /// out. So is a node that does not serve its slots any more.
    async fn prove(&self, connection: &Wire) -> Result<(), RedisError> {
        let sent = self.clock.now();
        let probe = self.probes_sent.fetch_add(1, Ordering::SeqCst) + 1;
        let mut commands = Pipeline::with_capacity(3);
        commands.cmd("PUBLISH").arg(&self.probe_channel).arg(probe);
        if let Some(key) = &*lock(&self.served_key) {
            commands.cmd("EXISTS").arg(key);
        }
        commands.cmd("PING");
        let replies = connection.call_all(&commands).await?;
        let mut replies = replies
            .into_iter()
            .map(Value::extract_error)
            .collect::<Result<Vec<_>, _>>()?;
        check_pong(replies.pop().unwrap_or_default())?;
        if self.probe_heard.load(Ordering::SeqCst) < probe {
            return Err(RedisError::from((
                ErrorKind::Io,
                "pushes do not arrive on this connection",
            )));
        }
        self.lane.confirm(sent);
        Ok(())
    }

    /// Chooses what the node is asked for.
    fn choose_key(&self) -> Result<(), RedisError> {
        if let Some(member) = &self.member {
            let tag = member.cluster.slot_map().hash_tag_of(&member.address);
            let tag = tag.ok_or_else(|| {
                RedisError::from((ErrorKind::Io, "node is not known to serve any slot"))
            })?;
            *lock(&self.served_key) = Some(format!("{}:{{{tag}}}", member.probe_key));
        }
        Ok(())
    }
}

#[async_trait]
impl Hooks for Pushed {
    async fn on_connect(&self, connection: &Wire) -> Result<(), RedisError> {
        // What was read on the connection before, even after its end was noted, is past.
        self.lane.interrupt();
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON");
        let set_up = async {
            connection.call(&tracking).await?.extract_error()?;
            connection.subscribe(&[&self.probe_channel]).await?;
            self.choose_key()?;
            self.prove(connection).await
        };
        set_up.await.inspect_err(|error| {
            if refusal(error.clone()).kind() == crate::ErrorKind::Refused {
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

    async fn heartbeat(&self, connection: &Wire) -> Result<(), RedisError> {
        self.prove(connection).await.inspect_err(|error| {
            if let (Some(member), ErrorKind::Server(_)) = (&self.member, error.kind()) {
                // Its slots may have moved.
                member.cluster.look_again();
            }
        })
    }

    fn on_down(&self) {
        self.lane.interrupt();
        self.watchers.flushed();
    }
}
