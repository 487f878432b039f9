//! Redis Cluster over supervised links: one a primary, routed by slot, redirections followed.
//!
//! The driver's own cluster connection re-sends commands whose replies were lost and keeps its
//! own time; routing over links keeps one rule for deadlines, repetition and fast failure.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::config::Address;
use super::error::Failure;
use super::link::{Dialer, Fixed, Hooks, Link, LinkConfig, Locate, Request};
use super::slots::{SlotMap, slot_of};
use crate::backend::unpoisoned::lock;
use crate::error::{Error, Result};

/// Redirections that one attempt follows.
const MAX_REDIRECTS: usize = 5;
/// How often the map is read while all is well.
const CALM: Duration = Duration::from_secs(15);
/// How often it is read while a slot is not served.
const URGENT: Duration = Duration::from_millis(200);
/// For one reading of the map.
const READ_MAP: Duration = Duration::from_secs(1);

/// The links to all primaries.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: LinkConfig,
    dialer: Dialer,
    seeds: Vec<Address>,
    slots: watch::Sender<Arc<SlotMap>>,
    links: Mutex<HashMap<Address, Arc<Link>>>,
    refresh: Arc<Notify>,
    complete: watch::Sender<bool>,
    refresher: Mutex<Option<JoinHandle<()>>>,
}

/// A lost primary is the reason to read the map again.
struct RefreshOnDown(Arc<Notify>);

impl Hooks for RefreshOnDown {
    fn on_down(&self) {
        self.0.notify_one();
    }
}

impl Cluster {
    pub(crate) fn start(config: LinkConfig, dialer: Dialer, seeds: Vec<Address>) -> Arc<Self> {
        let cluster = Arc::new(Self {
            config,
            dialer,
            seeds,
            slots: watch::Sender::default(),
            links: Mutex::default(),
            refresh: Arc::new(Notify::new()),
            complete: watch::Sender::new(false),
            refresher: Mutex::default(),
        });
        let refresher = tokio::spawn(keep_map_fresh(
            Arc::downgrade(&cluster),
            Arc::clone(&cluster.refresh),
        ));
        *lock(&cluster.refresher) = Some(refresher);
        cluster
    }

    pub(crate) fn is_up(&self) -> bool {
        let slots = self.slot_map();
        let links = lock(&self.links);
        slots.is_complete()
            && slots
                .primaries()
                .iter()
                .all(|address| links.get(address).is_some_and(|link| link.is_up()))
    }

    pub(crate) async fn wait_up(&self, deadline: Instant) -> Result<()> {
        let mut complete = self.complete.subscribe();
        // What it gives is a guard, which is not to be held on: this future is sent to other threads.
        let known = async { complete.wait_for(|complete| *complete).await.is_ok() };
        if timeout_at(deadline, known).await.is_err() {
            return Err(Error::new(
                crate::ErrorKind::Unavailable,
                "no node of the cluster gave a complete slot map within the connect timeout",
            ));
        }
        for address in self.slot_map().primaries() {
            self.link(address).wait_up(deadline).await?;
        }
        Ok(())
    }

    /// Sends one command to the node of the key's slot and follows redirections.
    pub(crate) async fn call(
        &self,
        key: &[u8],
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let Some(mut address) = self.slot_map().primary(slot_of(key)).cloned() else {
            self.refresh.notify_one();
            return Err(Failure::Down(None));
        };
        let mut asking = false;
        for _ in 0..MAX_REDIRECTS {
            let link = self.link(&address);
            let outcome = if asking {
                link.call_asking(request, deadline).await
            } else {
                link.call(request, deadline).await
            };
            let Err(failure) = outcome else {
                return outcome;
            };
            let Some((target, how)) = redirection(&failure) else {
                if failure.may_pass() || matches!(failure, Failure::Away(_)) {
                    self.refresh.notify_one();
                }
                return Err(failure);
            };
            asking = how == Redirect::Ask;
            if !asking {
                self.refresh.notify_one();
            }
            address = target;
            // The link to a node that was not known so far is only starting. When it does not
            // come up, the call itself says so.
            let _not_up = self.link(&address).wait_up(deadline).await;
        }
        Err(Failure::Down(Some(RedisError::from((
            ErrorKind::Server(ServerErrorKind::Moved),
            "the cluster redirected too often",
        )))))
    }

    /// The link to the node that serves a key's slot.
    pub(crate) fn link_of(&self, key: &[u8]) -> Result<Arc<Link>, Failure> {
        let map = self.slot_map();
        let address = map.primary(slot_of(key)).ok_or(Failure::Down(None))?;
        Ok(self.link(address))
    }

    pub(crate) fn slot_map(&self) -> Arc<SlotMap> {
        Arc::clone(&self.slots.borrow())
    }

    /// The map and its changes.
    pub(crate) fn slot_maps(&self) -> watch::Receiver<Arc<SlotMap>> {
        self.slots.subscribe()
    }

    /// Reads the map again soon.
    pub(crate) fn look_again(&self) {
        self.refresh.notify_one();
    }

    fn link(&self, address: &Address) -> Arc<Link> {
        Arc::clone(lock(&self.links).entry(address.clone()).or_insert_with(|| {
            Arc::new(Link::start(
                self.config,
                self.dialer.clone(),
                Arc::new(Fixed(address.clone())),
                Arc::new(RefreshOnDown(Arc::clone(&self.refresh))),
            ))
        }))
    }

    /// Asks the nodes one after another until one gives a map; those that are up first.
    async fn read_map(&self) {
        let known = self.slot_map();
        let mut candidates: Vec<_> = known.primaries().iter().chain(&self.seeds).collect();
        candidates.sort_by_key(|address| !self.link(address).is_up());
        for address in candidates {
            let deadline = Instant::now() + READ_MAP;
            let link = self.link(address);
            if link.wait_up(deadline).await.is_err() {
                continue;
            }
            let mut command = redis::cmd("CLUSTER");
            command.arg("SLOTS");
            let Ok(reply) = link.call(&command, deadline).await else {
                continue;
            };
            let Some(map) = SlotMap::parse(&reply, address) else {
                continue;
            };
            if map.primaries().is_empty() {
                continue;
            }
            self.adopt(map);
            return;
        }
        tracing::warn!("no node of the cluster answers CLUSTER SLOTS");
    }

    fn adopt(&self, map: SlotMap) {
        let complete = map.is_complete();
        for address in map.primaries() {
            self.link(address);
        }
        lock(&self.links)
            .retain(|address, _| map.primaries().contains(address) || self.seeds.contains(address));
        self.slots.send_replace(Arc::new(map));
        self.complete.send_replace(complete);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(refresher) = lock(&self.refresher).take() {
            refresher.abort();
        }
    }
}

async fn keep_map_fresh(cluster: Weak<Cluster>, refresh: Arc<Notify>) {
    loop {
        let Some(cluster) = cluster.upgrade() else {
            return;
        };
        cluster.read_map().await;
        let up = cluster.is_up();
        drop(cluster);
        if up {
            tokio::select! {
                () = sleep(CALM) => {}
                () = refresh.notified() => {}
            }
        }
        sleep(URGENT).await;
    }
}

#[derive(PartialEq, Eq)]
enum Redirect {
    Ask,
    Moved,
}

fn redirection(failure: &Failure) -> Option<(Address, Redirect)> {
    let Failure::Answered(error) = failure else {
        return None;
    };
    let how = match error.kind() {
        ErrorKind::Server(ServerErrorKind::Ask) => Redirect::Ask,
        ErrorKind::Server(ServerErrorKind::Moved) => Redirect::Moved,
        _ => return None,
    };
    let (address, _slot) = error.redirect_node()?;
    Some((Address::parse_redirect(address)?, how))
}

/// Locates any node of the cluster, another one at each attempt: classic channels reach all nodes.
pub(crate) struct AnyNode {
    cluster: Weak<Cluster>,
    seeds: Vec<Address>,
    turn: AtomicUsize,
}

impl AnyNode {
    pub(crate) fn new(cluster: &Arc<Cluster>, seeds: Vec<Address>) -> Self {
        Self {
            cluster: Arc::downgrade(cluster),
            seeds,
            turn: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Locate for AnyNode {
    async fn locate(&self) -> Result<Address, RedisError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let map = self.cluster.upgrade().map(|cluster| cluster.slot_map());
        let known = map.as_deref().map_or(&[][..], SlotMap::primaries);
        let nodes = if known.is_empty() { &self.seeds } else { known };
        nodes
            .get(turn % nodes.len().max(1))
            .cloned()
            .ok_or_else(|| RedisError::from((ErrorKind::InvalidClientConfig, "no node is known")))
    }
}
