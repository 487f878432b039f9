//! Sends commands: which link, how often, until when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::cluster::{AnyNode, Cluster};
use super::config::{Address, RedisConfig, Topology};
use super::error::Failure;
use super::hub::Hub;
use super::link::{Dialer, Fixed, Link, LinkConfig, Locate, NoHooks, Request, write_command};
use super::script::Script;
use super::sentinel::{SentinelWatch, Sentinels};
use super::slots::slot_of;
use super::tracked::{Setup, Tracked};
use super::{Limits, NearSetup};
use crate::error::Result;
use crate::key::StoreKey;

/// Whether a command may be sent again when nobody knows if it was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing: again and again.
    Read,
    /// Twice is the same as once.
    Idempotent,
    /// It counts, appends or publishes: a lost reply stays unknown.
    Once,
}

/// The first pause between two attempts of one call; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(15);

/// Runs commands against one node, a Sentinel set's primary, or a Cluster.
#[derive(Debug)]
pub(crate) struct Commander {
    route: Route,
    limits: Limits,
}

#[derive(Debug)]
enum Route {
    Node {
        link: Arc<Link>,
        _failover: Option<SentinelWatch>,
    },
    Cluster(Arc<Cluster>),
}

/// Everything that talks to the servers of one backend.
pub(crate) struct Connections {
    pub(crate) commander: Arc<Commander>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tracked: Tracked,
}

impl Connections {
    /// Starts the links: one for commands (or one a primary), one for subscriptions. Those for
    /// watched reads start with the first of them.
    pub(crate) fn start(config: &RedisConfig, limits: Limits, near: NearSetup) -> Self {
        let dialer = Dialer::new(config.login.clone());
        let commands = LinkConfig::new("commands", limits.connect);
        let events = LinkConfig::new("events", limits.connect);
        let setup = Setup {
            config: commands,
            dialer: dialer.clone(),
            method: near.method,
            clock: near.clock,
            watchers: near.watchers,
            probe_key: near.probe_key,
        };
        let (route, hub, tracked) = match &config.topology {
            Topology::Single(address) => {
                let target: Arc<dyn Locate> = Arc::new(Fixed(address.clone()));
                let hub = Hub::start(events, dialer.clone(), Arc::clone(&target));
                let tracked = Tracked::node(setup, Arc::clone(&target));
                let link = Arc::new(Link::start(commands, dialer, target, Arc::new(NoHooks)));
                let route = Route::Node {
                    link,
                    _failover: None,
                };
                (route, hub, tracked)
            }
            Topology::Sentinel { sentinels, primary } => {
                let sentinels = Arc::new(Sentinels::new(sentinels.clone(), primary, &config.login));
                let hub = Hub::start(events, dialer.clone(), Arc::clone(&sentinels) as _);
                let target: Arc<dyn Locate> = Arc::clone(&sentinels) as _;
                let tracked = Tracked::node(setup, Arc::clone(&target));
                let link = Arc::new(Link::start(commands, dialer, target, Arc::new(NoHooks)));
                let (commanding, listening) = (Arc::clone(&link), hub.link());
                let tracking = tracked.reconnector();
                let follow = move || {
                    commanding.reconnect();
                    listening.reconnect();
                    tracking();
                };
                let watch = SentinelWatch::start(limits.connect, &sentinels, Box::new(follow));
                let route = Route::Node {
                    link,
                    _failover: Some(watch),
                };
                (route, hub, tracked)
            }
            Topology::Cluster(seeds) => {
                let cluster = Cluster::start(commands, dialer.clone(), seeds.clone());
                let any = AnyNode::new(&cluster, seeds.clone());
                let tracked = Tracked::cluster(setup, Arc::clone(&cluster));
                (
                    Route::Cluster(cluster),
                    Hub::start(events, dialer, Arc::new(any)),
                    tracked,
                )
            }
        };
        Self {
            commander: Arc::new(Commander { route, limits }),
            hub,
            tracked,
        }
    }
}

impl Commander {
    /// Waits until commands can be served.
    pub(crate) async fn wait_up(&self, deadline: Instant) -> Result<()> {
        match &self.route {
            Route::Node { link, .. } => link.wait_up(deadline).await,
            Route::Cluster(cluster) => cluster.wait_up(deadline).await,
        }
    }

    /// Whether commands can be served now.
    pub(crate) fn is_up(&self) -> bool {
        match &self.route {
            Route::Node { link, .. } => link.is_up(),
            Route::Cluster(cluster) => cluster.is_up(),
        }
    }

    /// Sends one command that touches the slot of `key`.
    pub(crate) async fn run(
        &self,
        key: &str,
        request: &dyn Request,
        effect: Effect,
    ) -> Result<Value> {
        self.attempts(key, &Message::Plain(request), effect).await
    }

    /// Sends several reads of the slot of `key` together; their replies as an array. Ends by the
    /// `deadline`.
    pub(crate) async fn read_together(
        &self,
        key: &str,
        requests: &[&dyn Request],
        deadline: Instant,
    ) -> Result<Value> {
        let message = Message::Together(requests);
        self.attempts_until(deadline, key, &message, Effect::Read)
            .await
    }

    /// Runs a script by its digest; by its source where the server does not know it yet.
    /// All keys share a slot.
    pub(crate) async fn eval(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
        effect: Effect,
    ) -> Result<Value> {
        let call = ScriptCall {
            script,
            keys,
            arguments,
        };
        let key = keys.first().copied().unwrap_or_default();
        self.attempts(key, &Message::Script(call), effect).await
    }

    /// Runs a script that writes, and asks on the same connection how many replicas have what it
    /// wrote: both answers. The connection waits for `wanted` of them for a millisecond, and all who
    /// share it with it: ask again for more.
    pub(crate) async fn replicate(
        &self,
        call: &ScriptCall<'_>,
        wanted: u32,
    ) -> Result<(Value, Value)> {
        let key = call.keys.first().copied().unwrap_or_default();
        let deadline = self.deadline();
        let link = match &self.route {
            Route::Node { link, .. } => Ok(Arc::clone(link)),
            Route::Cluster(cluster) => cluster.link_of(key.as_bytes()),
        };
        let replicated = async {
            let link = link?;
            let known = call.by_digest();
            let outcome = link.call_replicated(&known, wanted, deadline).await;
            if !matches!(&outcome, Err(failure) if is_unknown_script(failure)) {
                return outcome;
            }
            let source = call.by_source();
            link.call_replicated(&source, wanted, deadline).await
        };
        replicated.await.map_err(|failure| {
            if let Route::Cluster(cluster) = &self.route {
                cluster.look_again();
            }
            failure.into_error(false)
        })
    }

    /// A key that the node of this number serves, as nodes are counted now; `None` beyond the last.
    pub(crate) fn key_on(&self, node: usize) -> Option<String> {
        match &self.route {
            Route::Node { .. } => (node == 0).then(String::new),
            Route::Cluster(cluster) => {
                let map = cluster.slot_map();
                let tag = map.hash_tag_of(map.primaries().get(node)?)?;
                Some(format!("{{{tag}}}"))
            }
        }
    }

    /// The indices of keys that one node serves, for each node.
    pub(crate) fn by_node(&self, keys: &[StoreKey]) -> Vec<Vec<usize>> {
        match &self.route {
            Route::Node { .. } => vec![(0..keys.len()).collect()],
            Route::Cluster(cluster) => {
                let map = cluster.slot_map();
                let mut batches: Vec<(Option<&Address>, Vec<usize>)> = Vec::new();
                for (index, key) in keys.iter().enumerate() {
                    let node = map.primary(slot_of(key.as_str().as_bytes()));
                    match batches.iter_mut().find(|(known, _)| *known == node) {
                        Some((_, batch)) => batch.push(index),
                        None => batches.push((node, vec![index])),
                    }
                }
                batches.into_iter().map(|(_, batch)| batch).collect()
            }
        }
    }

    /// The indices of keys that one script may be given together.
    pub(crate) fn by_script(&self, keys: &[&StoreKey]) -> Vec<Vec<usize>> {
        match &self.route {
            Route::Node { .. } => vec![(0..keys.len()).collect()],
            Route::Cluster(_) => {
                let mut slots: HashMap<u16, Vec<usize>> = HashMap::new();
                for (index, key) in keys.iter().enumerate() {
                    let slot = slot_of(key.as_str().as_bytes());
                    slots.entry(slot).or_default().push(index);
                }
                slots.into_values().collect()
            }
        }
    }

    /// When a call that starts now must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limits.command
    }

    /// Ends work of several commands when one command's time is over.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        until(self.deadline(), work).await
    }

    async fn attempts(&self, key: &str, message: &Message<'_>, effect: Effect) -> Result<Value> {
        self.attempts_until(self.deadline(), key, message, effect)
            .await
    }

    async fn attempts_until(
        &self,
        deadline: Instant,
        key: &str,
        message: &Message<'_>,
        effect: Effect,
    ) -> Result<Value> {
        let mut pause = FIRST_PAUSE;
        let mut retries_left = self.limits.retries;
        let mut was_lost = false;
        loop {
            let failure = match self.attempt(key, message, deadline).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            was_lost |= !failure.had_no_effect();
            let may_repeat = failure.had_no_effect() || effect != Effect::Once;
            let wait = pause / 2 + crate::random::up_to(pause / 2);
            if retries_left == 0
                || !may_repeat
                || !failure.may_pass()
                || Instant::now() + wait >= deadline
            {
                metrics::counter!("mainstay_backend_errors_total").increment(1);
                // An attempt before may have been executed, whatever became of the last.
                let failure = if was_lost && effect != Effect::Read {
                    failure.or_lost()
                } else {
                    failure
                };
                return Err(failure.into_error(effect == Effect::Read));
            }
            metrics::counter!("mainstay_backend_retries_total").increment(1);
            sleep(wait).await;
            retries_left -= 1;
            pause *= 2;
        }
    }

    async fn attempt(
        &self,
        key: &str,
        message: &Message<'_>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        match message {
            Message::Plain(request) => self.send(key, *request, deadline).await,
            Message::Together(requests) => self.send_together(key, requests, deadline).await,
            Message::Script(call) => match self.send(key, &call.by_digest(), deadline).await {
                Err(failure) if is_unknown_script(&failure) => {
                    self.send(key, &call.by_source(), deadline).await
                }
                outcome => outcome,
            },
        }
    }

    async fn send_together(
        &self,
        key: &str,
        requests: &[&dyn Request],
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let cluster = match &self.route {
            Route::Node { link, .. } => return link.call_together(requests, deadline).await,
            Route::Cluster(cluster) => cluster,
        };
        if let Ok(link) = cluster.link_of(key.as_bytes())
            && let Ok(replies) = link.call_together(requests, deadline).await
        {
            return Ok(replies);
        }
        // The slot has moved, or its node is gone: one by one they are led to where it is.
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            replies.push(self.send(key, *request, deadline).await?);
        }
        Ok(Value::Array(replies))
    }

    async fn send(
        &self,
        key: &str,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        match &self.route {
            Route::Node { link, .. } => link.call(request, deadline).await,
            // Boxed: a call of one node need not carry all that may follow.
            Route::Cluster(cluster) => {
                Box::pin(cluster.call(key.as_bytes(), request, deadline)).await
            }
        }
    }
}

/// Ends work at a deadline, as one command's.
pub(crate) async fn until<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match timeout_at(deadline, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Failure::Lost(None).into_error(true)),
    }
}

/// What one call sends.
enum Message<'a> {
    Plain(&'a dyn Request),
    Together(&'a [&'a dyn Request]),
    Script(ScriptCall<'a>),
}

/// One call of a script, all of whose keys share a slot.
pub(crate) struct ScriptCall<'a> {
    pub(crate) script: &'a Script,
    pub(crate) keys: &'a [&'a str],
    pub(crate) arguments: &'a [&'a [u8]],
}

/// Whether a server does not know a script by its digest yet.
pub(crate) fn is_unknown_script(failure: &Failure) -> bool {
    matches!(failure, Failure::Answered(error) if error.code() == Some("NOSCRIPT"))
}

impl ScriptCall<'_> {
    pub(crate) fn by_digest(&self) -> Evaluation<'_> {
        Evaluation {
            verb: "EVALSHA",
            body: &self.script.digest,
            call: self,
        }
    }

    pub(crate) fn by_source(&self) -> Evaluation<'_> {
        tracing::debug!(script = self.script.name, "script is new to the server");
        Evaluation {
            verb: "EVAL",
            body: &self.script.source,
            call: self,
        }
    }
}

/// A call of a script as it is sent.
pub(crate) struct Evaluation<'a> {
    verb: &'static str,
    body: &'a str,
    call: &'a ScriptCall<'a>,
}

impl Request for Evaluation<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let ScriptCall {
            keys, arguments, ..
        } = self.call;
        let count = keys.len().to_string();
        let words = [self.verb, self.body, &count].map(str::as_bytes);
        let words = words
            .into_iter()
            .chain(keys.iter().map(|key| key.as_bytes()))
            .chain(arguments.iter().copied());
        write_command(out, 3 + keys.len() + arguments.len(), words);
    }
}
