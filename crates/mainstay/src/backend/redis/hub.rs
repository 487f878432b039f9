//! Subscriptions: one supervised connection, one registry of who listens to what.
//!
//! The registry says what is wanted; the connection is brought in line with it by one reconciler,
//! after every change and before a new connection is published. A subscriber waits until its
//! channels are confirmed on the connection of the moment.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::error::refusal;
use super::link::{Dialer, Hooks, Link, LinkConfig, Locate, Wire, check_pong, ping};
use super::probe::PushProbe;
use crate::backend::mailbox::Mailbox;
use crate::backend::unpoisoned::lock;
use crate::backend::{Delivery, GapReason, Subscription};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;

/// Channels named in one command.
const BATCH: usize = 500;
/// For one command of the reconciler.
const CONFIRM: Duration = Duration::from_secs(3);
/// For the first push of a connection, as long as for a heartbeat: one that loses them is tried anew.
const PROVEN: Duration = Duration::from_secs(1);
/// How long a subscriber waits for a connection that is down.
const GRACE: Duration = Duration::from_millis(250);

/// Delivers what the events connection receives.
#[derive(Debug)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
    link: Arc<Link>,
    reconciler: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    registry: Mutex<Registry>,
    /// What the server has confirmed on the connection of the moment.
    confirmed: AsyncMutex<HashSet<StoreKey>>,
    /// Rises with every confirmation.
    confirmations: watch::Sender<u64>,
    changed: Notify,
    probe: PushProbe,
    /// Whether the login may publish and hear probes.
    proves: AtomicBool,
}

#[derive(Debug, Default)]
struct Registry {
    next_id: u64,
    listeners: HashMap<String, (StoreKey, Vec<Listener>)>,
    confirmed: HashSet<StoreKey>,
    /// Channels that the server does not let us hear, until somebody asks for them anew.
    refused: HashMap<StoreKey, RedisError>,
}

#[derive(Debug)]
struct Listener {
    id: u64,
    mailbox: Arc<Mailbox>,
    standing: Standing,
}

/// One listener's standing on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Never confirmed: nothing is promised yet.
    New,
    /// Confirmed on the connection of the moment.
    Live,
    /// Confirmed on a connection that is gone: the next confirmation closes a gap.
    Interrupted,
}

impl Hub {
    pub(crate) fn start(config: LinkConfig, dialer: Dialer, target: Arc<dyn Locate>) -> Arc<Self> {
        let shared = Arc::new(Shared::default());
        let link = Arc::new(Link::start(
            config,
            dialer,
            target,
            Arc::clone(&shared) as _,
        ));
        let reconciler = tokio::spawn(reconcile_forever(Arc::clone(&shared), Arc::clone(&link)));
        Arc::new(Self {
            shared,
            link,
            reconciler,
        })
    }

    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    pub(crate) async fn wait_up(&self, deadline: Instant) -> Result<()> {
        self.link.wait_up(deadline).await
    }

    /// Delivers the channels' messages into a mailbox once the server has confirmed all of them.
    ///
    /// Fails at once while the connection stays down. Cancel safe: a subscription that is not
    /// handed out is taken back.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        channels: &[StoreKey],
        mailbox: Arc<Mailbox>,
        deadline: Instant,
    ) -> Result<HubSubscription> {
        self.link
            .wait_up(deadline.min(Instant::now() + GRACE))
            .await?;
        let mut confirmations = self.shared.confirmations.subscribe();
        let subscription = HubSubscription {
            id: self.shared.register(channels, &mailbox),
            channels: channels.to_vec(),
            mailbox,
            hub: Arc::clone(self),
        };
        self.shared.changed.notify_one();
        let confirmed = async {
            loop {
                if let Some(outcome) = self.shared.outcome(channels) {
                    return outcome;
                }
                if confirmations.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match timeout_at(deadline, confirmed).await {
            Ok(outcome) => outcome.map(|()| subscription),
            Err(_elapsed) => Err(Error::new(
                ErrorKind::Unavailable,
                "backend did not confirm the subscription in time",
            )),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.reconciler.abort();
    }
}

impl Shared {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    fn register(&self, channels: &[StoreKey], mailbox: &Arc<Mailbox>) -> u64 {
        let mut registry = self.registry();
        registry.next_id += 1;
        let id = registry.next_id;
        for channel in channels {
            registry.refused.remove(channel);
            let standing = if registry.confirmed.contains(channel) {
                Standing::Live
            } else {
                Standing::New
            };
            let (_, listeners) = registry
                .listeners
                .entry(channel.as_str().to_owned())
                .or_insert_with(|| (channel.clone(), Vec::new()));
            listeners.push(Listener {
                id,
                mailbox: Arc::clone(mailbox),
                standing,
            });
        }
        id
    }

    fn unregister(&self, id: u64, channels: &[StoreKey]) {
        let mut registry = self.registry();
        for channel in channels {
            if let Some((_, listeners)) = registry.listeners.get_mut(channel.as_str()) {
                listeners.retain(|listener| listener.id != id);
                if listeners.is_empty() {
                    registry.listeners.remove(channel.as_str());
                    registry.refused.remove(channel);
                }
            }
        }
        drop(registry);
        self.changed.notify_one();
    }

    /// What became of the channels; `None` while the server has not answered for all.
    fn outcome(&self, channels: &[StoreKey]) -> Option<Result<()>> {
        let registry = self.registry();
        if let Some(error) = channels.iter().find_map(|c| registry.refused.get(c)) {
            return Some(Err(refusal(error.clone())));
        }
        let all_confirmed = channels.iter().all(|c| registry.confirmed.contains(c));
        all_confirmed.then_some(Ok(()))
    }

    /// Brings the connection in line with the registry.
    async fn reconcile(&self, connection: &Wire) -> Result<(), RedisError> {
        let mut confirmed = self.confirmed.lock().await;
        loop {
            let wanted: HashSet<StoreKey> = {
                let registry = self.registry();
                let listened = registry.listeners.values().map(|(channel, _)| channel);
                listened
                    .filter(|channel| !registry.refused.contains_key(channel))
                    .cloned()
                    .collect()
            };
            let missing: Vec<_> = wanted.difference(&confirmed).cloned().collect();
            let surplus: Vec<_> = confirmed.difference(&wanted).cloned().collect();
            if missing.is_empty() && surplus.is_empty() {
                return Ok(());
            }
            for batch in missing.chunks(BATCH) {
                self.request(connection, batch, &mut confirmed).await?;
            }
            for batch in surplus.chunks(BATCH) {
                let dropped = self.withdraw(batch, &mut confirmed);
                if !dropped.is_empty() {
                    let names: Vec<_> = dropped.iter().map(StoreKey::as_str).collect();
                    within(CONFIRM, connection.unsubscribe(&names)).await?;
                }
            }
        }
    }

    /// Subscribes to channels; those that the server refuses are noted, one by one.
    async fn request(
        &self,
        connection: &Wire,
        channels: &[StoreKey],
        confirmed: &mut HashSet<StoreKey>,
    ) -> Result<(), RedisError> {
        let names: Vec<_> = channels.iter().map(StoreKey::as_str).collect();
        let Err(error) = within(CONFIRM, connection.subscribe(&names)).await else {
            confirmed.extend(channels.iter().cloned());
            self.publish(confirmed);
            return Ok(());
        };
        if error.is_io_error() || error.is_connection_dropped() {
            return Err(error);
        }
        if let [refused] = channels {
            tracing::warn!(channel = %refused, %error, "the server refuses a subscription");
            self.registry().refused.insert(refused.clone(), error);
            self.publish(confirmed);
            return Ok(());
        }
        for channel in channels {
            Box::pin(self.request(connection, std::slice::from_ref(channel), confirmed)).await?;
        }
        Ok(())
    }

    /// Takes channels that nobody listens to any more out of what is confirmed.
    ///
    /// In one step with the look at the listeners: who comes later waits for a new confirmation.
    fn withdraw(&self, channels: &[StoreKey], confirmed: &mut HashSet<StoreKey>) -> Vec<StoreKey> {
        let mut registry = self.registry();
        let mut dropped = Vec::new();
        for channel in channels {
            if !registry.listeners.contains_key(channel.as_str()) {
                registry.confirmed.remove(channel);
                confirmed.remove(channel);
                dropped.push(channel.clone());
            }
        }
        dropped
    }

    fn publish(&self, confirmed: &HashSet<StoreKey>) {
        let mut registry = self.registry();
        registry.confirmed.clone_from(confirmed);
        // Who registered between the server's confirmation and this moment missed nothing.
        for (channel, listeners) in registry.listeners.values_mut() {
            if confirmed.contains(channel) {
                let new = |listener: &&mut Listener| listener.standing == Standing::New;
                for listener in listeners.iter_mut().filter(new) {
                    listener.standing = Standing::Live;
                }
            }
        }
        drop(registry);
        self.confirmations.send_modify(|count| *count += 1);
    }

    /// Whether the connection's pushes can be proven to arrive: a login may lack the rights to that.
    async fn try_probe(&self, connection: &Wire) -> Result<(), RedisError> {
        self.proves.store(true, Ordering::SeqCst);
        match within(PROVEN, connection.subscribe(&[self.probe.channel()])).await {
            Err(error) if is_refusal(&error) => {
                self.stop_proving(&error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn stop_proving(&self, error: &RedisError) {
        self.proves.store(false, Ordering::SeqCst);
        tracing::info!(
            %error,
            channel = self.probe.channel(),
            "cannot prove that events arrive: the server refuses a channel of ours"
        );
    }

    /// A new connection starts with nothing confirmed.
    fn interrupt(&self) {
        let mut registry = self.registry();
        registry.confirmed.clear();
        // Its rules may be others.
        registry.refused.clear();
        for (_, listeners) in registry.listeners.values_mut() {
            for listener in listeners {
                if listener.standing == Standing::Live {
                    listener.standing = Standing::Interrupted;
                }
            }
        }
    }

    /// The server confirmed a channel: messages follow from here on, and a gap ends here.
    fn on_confirmation(&self, channel: &str) {
        let mut registry = self.registry();
        let Some((_, listeners)) = registry.listeners.get_mut(channel) else {
            return;
        };
        for listener in listeners {
            if listener.standing == Standing::Interrupted {
                listener.mailbox.gap(GapReason::Disconnected);
            }
            listener.standing = Standing::Live;
        }
    }

    fn on_message(&self, channel: &str, payload: &Bytes) {
        if self.probe.hear(channel.as_bytes(), payload) {
            return;
        }
        let registry = self.registry();
        if let Some((channel, listeners)) = registry.listeners.get(channel) {
            for listener in listeners {
                listener.mailbox.push(channel.clone(), payload.clone());
            }
        }
    }
}

#[async_trait]
impl Hooks for Shared {
    async fn on_connect(&self, connection: &Wire) -> Result<(), RedisError> {
        {
            // Under the lock: a reconciliation of the lost connection may be at its end.
            let mut confirmed = self.confirmed.lock().await;
            confirmed.clear();
            self.interrupt();
        }
        self.try_probe(connection).await?;
        self.reconcile(connection).await
    }

    /// Asks for a push, too: a connection that only answers delivers nothing.
    async fn heartbeat(&self, connection: &Wire) -> Result<(), RedisError> {
        if !self.proves.load(Ordering::SeqCst) {
            return ping(connection).await;
        }
        let mut commands = Pipeline::with_capacity(2);
        let probe = self.probe.send(&mut commands);
        commands.cmd("PING");
        let mut replies = connection.call_all(&commands).await?;
        check_pong(replies.pop().unwrap_or_default())?;
        match replies.pop().map(Value::extract_error) {
            Some(Err(error)) if is_refusal(&error) => {
                self.stop_proving(&error);
                Ok(())
            }
            _ => self.probe.check(probe),
        }
    }

    fn on_push(&self, push: PushInfo) {
        let mut fields = push.data.into_iter();
        let (Some(Value::BulkString(channel)), Some(field)) = (fields.next(), fields.next()) else {
            return;
        };
        let Ok(channel) = std::str::from_utf8(&channel) else {
            return;
        };
        match (push.kind, field) {
            (PushKind::Subscribe, _) => self.on_confirmation(channel),
            (PushKind::Message, Value::BulkString(payload)) => {
                self.on_message(channel, &payload.into());
            }
            _ => {}
        }
    }

    fn on_down(&self) {
        self.registry().confirmed.clear();
    }
}

/// Whether the server has the rule, and not the connection the fault.
fn is_refusal(error: &RedisError) -> bool {
    refusal(error.clone()).kind() == ErrorKind::Refused
}

async fn within(
    time: Duration,
    command: impl Future<Output = Result<(), RedisError>>,
) -> Result<(), RedisError> {
    match timeout(time, command).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(RedisError::from((
            redis::ErrorKind::Io,
            "subscription was not confirmed in time",
        ))),
    }
}

async fn reconcile_forever(shared: Arc<Shared>, link: Arc<Link>) {
    let mut state = link.state();
    loop {
        // A new connection starts with a reconciliation of its own; a change of the state tells of
        // what was wanted between that and the connection's publication.
        tokio::select! {
            () = shared.changed.notified() => {}
            changed = state.changed() => if changed.is_err() {
                return;
            },
        }
        let Ok((epoch, connection)) = link.connection() else {
            continue;
        };
        if let Err(error) = shared.reconcile(&connection).await {
            tracing::warn!(%error, "subscriptions could not be changed: reconnecting");
            link.give_up(epoch);
        }
    }
}

/// A registered subscriber; dropping it takes its channels back.
pub(crate) struct HubSubscription {
    id: u64,
    channels: Vec<StoreKey>,
    mailbox: Arc<Mailbox>,
    /// Keeps the connection for as long as somebody listens.
    hub: Arc<Hub>,
}

impl fmt::Debug for HubSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSubscription")
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Subscription for HubSubscription {
    async fn next(&mut self) -> Delivery {
        self.mailbox.next().await
    }
}

impl Drop for HubSubscription {
    fn drop(&mut self) {
        self.hub.shared.unregister(self.id, &self.channels);
    }
}
