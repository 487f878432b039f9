//! Reads whose later changes are heard of: one connection a node, watched in wire order.
//!
//! The server tells a connection about the keys that it has read there (`CLIENT TRACKING`), or,
//! where that is not to be had, every change is announced on a channel with a number that shows
//! what was missed. Either way the stream of a node is a [`Lane`]: its epoch rises when something
//! may have been missed, and its heartbeat says up to when it is complete.

mod announced;
mod pushed;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use redis::{ErrorKind, Pipeline, ServerErrorKind, Value};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::announced::Announced;
use self::pushed::{Member, Pushed};
use super::cluster::Cluster;
use super::commander::{ScriptCall, is_unknown_script};
use super::config::Address;
use super::error::Failure;
use super::link::{Dialer, Fixed, Hooks, Link, LinkConfig, Locate};
use super::script::Script;
use super::slots::{SlotMap, slot_of};
use crate::backend::unpoisoned::lock;
use crate::backend::{Lane, Mark, Watchers};
use crate::clock::Clock;

/// How often a stream is confirmed. Near caches may lag by no less than a few of these.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// After this the stream counts as lost.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the very first read waits for its connection.
const FIRST_CONNECT: Duration = Duration::from_secs(1);

/// How a process hears of changes that others make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Method {
    /// The server pushes them.
    Tracking,
    /// Whoever makes them announces them under this counter and channel.
    Announcements(String),
}

/// What the streams have in common.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) config: LinkConfig,
    pub(crate) dialer: Dialer,
    pub(crate) method: Method,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watchers: Arc<Watchers>,
    /// How the keys begin that a node of a Cluster is asked for, to see whether it serves its slots.
    pub(crate) probe_key: String,
}

/// The watched connections.
pub(crate) struct Tracked {
    setup: Setup,
    route: Route,
}

enum Route {
    Node {
        target: Arc<dyn Locate>,
        stream: Arc<OnceLock<Arc<Stream>>>,
    },
    Cluster {
        cluster: Arc<Cluster>,
        streams: Arc<Mutex<HashMap<Address, Arc<Stream>>>>,
        follower: OnceLock<JoinHandle<()>>,
    },
}

/// One node's connection and what is known of its completeness.
struct Stream {
    link: Arc<Link>,
    lane: Arc<Lane>,
    watchers: Arc<Watchers>,
}

impl Stream {
    fn start(setup: &Setup, target: Arc<dyn Locate>, member: Option<Member>) -> Arc<Self> {
        let lane = Lane::unconfirmed();
        let hooks: Arc<dyn Hooks> = match &setup.method {
            Method::Tracking => Arc::new(Pushed::new(setup, Arc::clone(&lane), member)),
            Method::Announcements(channel) => {
                Arc::new(Announced::new(setup, Arc::clone(&lane), channel.clone()))
            }
        };
        let config = LinkConfig {
            role: "near",
            heartbeat: HEARTBEAT,
            heartbeat_timeout: HEARTBEAT_TIMEOUT,
            ..setup.config
        };
        let link = Link::start(config, setup.dialer.clone(), target, hooks);
        Arc::new(Self {
            link: Arc::new(link),
            lane,
            watchers: Arc::clone(&setup.watchers),
        })
    }

    /// Nothing that was read on this stream counts any more.
    fn interrupt(&self) {
        self.lane.interrupt();
        self.watchers.flushed();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.interrupt();
    }
}

impl Tracked {
    pub(crate) fn node(setup: Setup, target: Arc<dyn Locate>) -> Self {
        let stream = Arc::default();
        Self {
            setup,
            route: Route::Node { target, stream },
        }
    }

    pub(crate) fn cluster(setup: Setup, cluster: Arc<Cluster>) -> Self {
        Self {
            setup,
            route: Route::Cluster {
                cluster,
                streams: Arc::default(),
                follower: OnceLock::new(),
            },
        }
    }

    /// The stream of the node that serves `key`; it is connected when it is first asked for.
    fn stream(&self, key: &str) -> Option<Arc<Stream>> {
        match &self.route {
            Route::Node { target, stream } => {
                let start = || Stream::start(&self.setup, Arc::clone(target), None);
                Some(Arc::clone(stream.get_or_init(start)))
            }
            Route::Cluster {
                cluster,
                streams,
                follower,
            } => {
                follower
                    .get_or_init(|| tokio::spawn(follow(cluster.slot_maps(), Arc::clone(streams))));
                let address = cluster.slot_map().primary(slot_of(key.as_bytes()))?.clone();
                let mut streams = lock(streams);
                let stream = streams.entry(address).or_insert_with_key(|address| {
                    let member = Member {
                        cluster: Arc::clone(cluster),
                        address: address.clone(),
                        probe_key: self.setup.probe_key.clone(),
                    };
                    Stream::start(&self.setup, Arc::new(Fixed(address.clone())), Some(member))
                });
                Some(Arc::clone(stream))
            }
        }
    }

    /// Makes a single node's link locate its node anew.
    pub(crate) fn reconnector(&self) -> impl Fn() + Send + Sync + use<> {
        let stream = match &self.route {
            Route::Node { stream, .. } => Some(Arc::clone(stream)),
            Route::Cluster { .. } => None,
        };
        move || {
            if let Some(stream) = stream.as_ref().and_then(|stream| stream.get()) {
                stream.link.reconnect();
            }
        }
    }

    /// Runs a script whose reads are watched.
    pub(crate) async fn eval(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let key = keys.first().copied().unwrap_or_default();
        let stream = self.ready(key, deadline).await?;
        let call = ScriptCall {
            script,
            keys,
            arguments,
        };
        let mut outcome = stream.link.call(&call.by_digest(), deadline).await;
        if outcome.as_ref().is_err_and(is_unknown_script) {
            outcome = stream.link.call(&call.by_source(), deadline).await;
        }
        self.note_redirection(&stream, outcome.as_ref().err());
        outcome
    }

    /// Sends several commands that touch the slot of `key`; a redirection among the replies is
    /// a failure of all.
    pub(crate) async fn call_all(
        &self,
        key: &str,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<(Vec<Value>, Mark), Failure> {
        let stream = self.ready(key, deadline).await?;
        let mark = stream.lane.mark();
        let replies = stream.link.call_all(commands, deadline).await?;
        for reply in &replies {
            if let Value::ServerError(error) = reply {
                let failure = Failure::Answered(error.clone().into());
                if self.note_redirection(&stream, Some(&failure)) || failure.may_pass() {
                    return Err(failure);
                }
            }
        }
        Ok((replies, mark))
    }

    async fn ready(&self, key: &str, deadline: Instant) -> Result<Arc<Stream>, Failure> {
        let stream = self.stream(key).ok_or(Failure::Down(None))?;
        if !stream.link.is_up() {
            let patience = deadline.min(Instant::now() + FIRST_CONNECT);
            stream.link.settle(patience).await;
        }
        Ok(stream)
    }

    /// A slot that has moved takes its node's entries with it.
    fn note_redirection(&self, stream: &Stream, failure: Option<&Failure>) -> bool {
        let Some(Failure::Answered(error)) = failure else {
            return false;
        };
        let ErrorKind::Server(redirect @ (ServerErrorKind::Moved | ServerErrorKind::Ask)) =
            error.kind()
        else {
            return false;
        };
        // A key that is asked for at another node has left this one, which has told of that.
        if redirect == ServerErrorKind::Moved {
            stream.interrupt();
            if let Route::Cluster { cluster, .. } = &self.route {
                cluster.look_again();
            }
        }
        true
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked")
            .field("method", &self.setup.method)
            .finish_non_exhaustive()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if let Route::Cluster { follower, .. } = &self.route
            && let Some(follower) = follower.get()
        {
            follower.abort();
        }
    }
}

/// Ends the streams of nodes that are no primaries any more, and interrupts those whose slots have
/// changed.
async fn follow(
    mut maps: tokio::sync::watch::Receiver<Arc<SlotMap>>,
    streams: Arc<Mutex<HashMap<Address, Arc<Stream>>>>,
) {
    let mut known = Arc::clone(&maps.borrow_and_update());
    while maps.changed().await.is_ok() {
        let now = Arc::clone(&maps.borrow_and_update());
        let mut gone = Vec::new();
        lock(&streams).retain(|address, stream| {
            if known.ranges_of(address) == now.ranges_of(address) {
                return true;
            }
            stream.interrupt();
            let stays = now.primaries().contains(address);
            if !stays {
                gone.push(Arc::clone(stream));
            }
            stays
        });
        drop(gone);
        known = now;
    }
}
