//! The server tells of changes: `CLIENT TRACKING` in its default mode.
//!
//! Every read on the connection is tracked, so a read costs no further command, and the changes
//! that are made between two commands of one read arrive before its last reply.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use redis::{ErrorKind, Pipeline, PushInfo, PushKind, RedisError, Value};

use super::Setup;
use crate::backend::redis::cluster::Cluster;
use crate::backend::redis::config::Address;
use crate::backend::redis::error::refusal;
use crate::backend::redis::link::{Hooks, Wire, check_pong};
use crate::backend::redis::probe::PushProbe;
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
    probe: PushProbe,
    /// A key that the node serves, in a Cluster.
    served_key: Mutex<Option<String>>,
}

impl Pushed {
    pub(super) fn new(setup: &Setup, lane: Arc<Lane>, member: Option<Member>) -> Self {
        Self {
            lane,
            watchers: Arc::clone(&setup.watchers),
            clock: Arc::clone(&setup.clock),
            member,
            probe: PushProbe::default(),
            served_key: Mutex::default(),
        }
    }

    /// A push that the connection sends to itself must be there before the `PONG`, and with it
    /// every invalidation of before: something on the way that answers but loses pushes is found
    /// out. So is a node that does not serve its slots any more.
    async fn prove(&self, connection: &Wire) -> Result<(), RedisError> {
        let sent = self.clock.now();
        let mut commands = Pipeline::with_capacity(3);
        let probe = self.probe.send(&mut commands);
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
        self.probe.check(probe)?;
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
            connection.subscribe(&[self.probe.channel()]).await?;
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
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(probe)]) => {
                self.probe.hear(channel, probe);
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
