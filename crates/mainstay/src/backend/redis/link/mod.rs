//! One supervised connection to one node.
//!
//! The supervisor dials, sets the connection up, publishes it, watches it by a heartbeat whose
//! reply is awaited, and starts over for ever. While it is down calls fail at once. A call that is
//! in flight when the connection ends fails with it: the supervisor owns the driver task.

mod backoff;
mod dial;
mod request;
mod resp;
mod supervisor;
mod wire;

pub(crate) use dial::Dialer;
pub(crate) use dial::Running;
pub(crate) use request::{Request, write_command};
pub(crate) use wire::Wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use redis::{PushInfo, RedisError, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use self::wire::Ended;
use super::config::Address;
use super::error::{Failure, connecting};
use crate::error::{Error, Result};

/// What a link does for its owner on the way.
#[async_trait]
pub(crate) trait Hooks: Send + Sync + 'static {
    /// Prepares a new connection before any caller gets it. An error discards the connection.
    /// Callers have none at that time; what they were told by the one before may have changed.
    async fn on_connect(&self, _connection: &Wire) -> Result<(), RedisError> {
        Ok(())
    }

    /// Takes a push. Runs in the reader, in wire order, before later replies are handed out:
    /// it must not block.
    fn on_push(&self, _push: PushInfo) {}

    /// Asks whether the connection still does its work; an error ends it.
    async fn heartbeat(&self, connection: &Wire) -> Result<(), RedisError> {
        ping(connection).await
    }

    /// Hears that the connection is gone, before pending calls fail. Not called for an attempt that
    /// has not come as far as [`on_connect`](Self::on_connect).
    fn on_down(&self) {}
}

/// Sends `PING` and awaits `PONG`.
pub(crate) async fn ping(connection: &Wire) -> Result<(), RedisError> {
    check_pong(connection.call(&redis::cmd("PING")).await?)
}

/// Whether a reply to `PING` is the right one.
pub(crate) fn check_pong(reply: Value) -> Result<(), RedisError> {
    match reply {
        Value::SimpleString(pong) if pong == "PONG" => Ok(()),
        Value::ServerError(error) => Err(error.into()),
        _ => Err(RedisError::from((
            redis::ErrorKind::UnexpectedReturnType,
            "PING was not answered by PONG",
        ))),
    }
}

/// Hooks of a link that only carries commands.
#[derive(Debug)]
pub(crate) struct NoHooks;

impl Hooks for NoHooks {}

/// Finds the node to connect to; asked again before every attempt.
#[async_trait]
pub(crate) trait Locate: Send + Sync + 'static {
    async fn locate(&self) -> Result<Address, RedisError>;

    /// Whether the node must say that it is a primary.
    fn must_be_primary(&self) -> bool {
        false
    }
}

/// Always the same node.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Address);

#[async_trait]
impl Locate for Fixed {
    async fn locate(&self) -> Result<Address, RedisError> {
        Ok(self.0.clone())
    }
}

/// The state of a link; its changes can be awaited.
#[derive(Clone)]
pub(crate) enum LinkState {
    /// No connection. The error is the last attempt's.
    Down(Option<RedisError>),
    /// A connection, set up and answering; `epoch` is new for each.
    Up { epoch: u64, connection: Wire },
}

impl LinkState {
    pub(crate) fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

impl fmt::Debug for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(error) => f.debug_tuple("Down").field(error).finish(),
            Self::Up { epoch, .. } => f.debug_struct("Up").field("epoch", epoch).finish(),
        }
    }
}

/// How a link is kept alive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkConfig {
    /// Names the link in logs and metrics: `commands`, `events`, `sentinel`.
    pub(crate) role: &'static str,
    /// For one attempt, handshake and set-up included.
    pub(crate) connect_timeout: Duration,
    /// How often the node is asked whether it is there.
    pub(crate) heartbeat: Duration,
    /// How long it may take to say so.
    pub(crate) heartbeat_timeout: Duration,
}

impl LinkConfig {
    /// For a link that notices a silent node within a second and a half.
    pub(crate) fn new(role: &'static str, connect_timeout: Duration) -> Self {
        Self {
            role,
            connect_timeout,
            heartbeat: Duration::from_millis(500),
            heartbeat_timeout: Duration::from_secs(1),
        }
    }
}

/// A supervised connection. Dropping it stops the supervisor and closes the connection.
#[derive(Debug)]
pub(crate) struct Link {
    state: watch::Receiver<LinkState>,
    given_up: watch::Sender<u64>,
    /// Whether the node was silent, or the last attempt to connect has failed.
    is_away: Arc<AtomicBool>,
    relocates: bool,
    supervisor: JoinHandle<()>,
}

impl Link {
    pub(crate) fn start(
        config: LinkConfig,
        dialer: Dialer,
        target: Arc<dyn Locate>,
        hooks: Arc<dyn Hooks>,
    ) -> Self {
        let (sender, state) = watch::channel(LinkState::Down(None));
        let given_up = watch::Sender::new(0);
        let is_away = Arc::new(AtomicBool::new(false));
        let relocates = target.must_be_primary();
        let supervisor = supervisor::Supervisor {
            config,
            dialer,
            target,
            hooks,
            state: sender,
            given_up: given_up.subscribe(),
            is_away: Arc::clone(&is_away),
        };
        Self {
            state,
            given_up,
            is_away,
            relocates,
            supervisor: tokio::spawn(supervisor.run()),
        }
    }

    /// The state and its changes.
    pub(crate) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.borrow().is_up()
    }

    /// Gives the connection of the moment up and locates the node anew.
    pub(crate) fn reconnect(&self) {
        if let Ok((epoch, _)) = self.connection() {
            self.give_up(epoch);
        }
    }

    /// Gives the connection of that epoch up; a later one is left alone.
    pub(crate) fn give_up(&self, epoch: u64) {
        self.given_up.send_if_modified(|given_up| {
            let is_news = *given_up < epoch;
            *given_up = epoch.max(*given_up);
            is_news
        });
    }

    /// The connection of the moment, with its epoch.
    pub(crate) fn connection(&self) -> Result<(u64, Wire), Failure> {
        match &*self.state.borrow() {
            LinkState::Up { epoch, connection } => Ok((*epoch, connection.clone())),
            LinkState::Down(error) if self.is_away.load(Ordering::SeqCst) => {
                Err(Failure::Away(error.clone()))
            }
            LinkState::Down(error) => Err(Failure::Down(error.clone())),
        }
    }

    /// Sends one command and awaits its reply. Dropping the future may leave the command executed.
    pub(crate) async fn call(
        &self,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let (epoch, connection) = self.connection()?;
        let outcome = answer(timeout_at(deadline, connection.call(request)).await);
        if let (true, Err(Failure::Answered(error))) = (self.relocates, &outcome)
            && error.code() == Some("READONLY")
        {
            // The primary was demoted under us: locate the new one.
            self.give_up(epoch);
        }
        outcome
    }

    /// Sends a command to a node that imports its slot.
    pub(crate) async fn call_asking(
        &self,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let (_, connection) = self.connection()?;
        let sent = connection.call_several(2, |out| {
            [&b"ASKING"[..]].write(out);
            request.write(out);
        });
        let mut replies = replies(timeout_at(deadline, sent).await)?;
        answer(Ok(Ok(replies.pop().unwrap_or_default())))
    }

    /// Sends a command that writes, and awaits for a millisecond at most that replicas have it: its
    /// answer, and how many do. Both on one connection: another would not wait for this write.
    pub(crate) async fn call_replicated(
        &self,
        request: &dyn Request,
        replicas: u32,
        deadline: Instant,
    ) -> Result<(Value, Value), Failure> {
        let (_, connection) = self.connection()?;
        let replicas = replicas.to_string();
        let sent = connection.call_several(2, |out| {
            request.write(out);
            [&b"WAIT"[..], replicas.as_bytes(), b"1"].write(out);
        });
        let mut replies = replies(timeout_at(deadline, sent).await)?;
        let count = replies.pop().unwrap_or_default();
        let written = answer(Ok(Ok(replies.pop().unwrap_or_default())))?;
        Ok((written, answer(Ok(Ok(count)))?))
    }

    /// Sends reads together, with one wake-up for all of their replies, which come as an array. An error
    /// among them is the outcome.
    pub(crate) async fn call_together(
        &self,
        requests: &[&dyn Request],
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let (_, connection) = self.connection()?;
        let sent = connection.call_several(requests.len(), |out| {
            for request in requests {
                request.write(out);
            }
        });
        let answers = replies(timeout_at(deadline, sent).await)?;
        let answers = answers.into_iter().map(|reply| answer(Ok(Ok(reply))));
        answers.collect::<Result<_, _>>().map(Value::Array)
    }

    /// Sends commands together and awaits their replies, errors among them.
    pub(crate) async fn call_all(
        &self,
        commands: &redis::Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let (_, connection) = self.connection()?;
        replies(timeout_at(deadline, connection.call_all(commands)).await)
    }

    /// Waits for the outcome of the first attempt to connect, but not beyond the deadline.
    pub(crate) async fn settle(&self, deadline: Instant) {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, LinkState::Down(None)));
        // Down, or not up yet: the calls that follow say so.
        let _outcome = timeout_at(deadline, settled).await;
    }

    /// Waits until the link is up; the last attempt's error when it is not by the deadline.
    pub(crate) async fn wait_up(&self, deadline: Instant) -> Result<()> {
        let mut state = self.state.clone();
        let refused = |state: &LinkState| match state {
            LinkState::Down(Some(error)) => {
                let error = connecting(error.clone());
                (error.kind() == crate::ErrorKind::Refused).then_some(error)
            }
            LinkState::Down(None) | LinkState::Up { .. } => None,
        };
        let settled = state.wait_for(|state| state.is_up() || refused(state).is_some());
        if let Ok(Ok(state)) = timeout_at(deadline, settled).await {
            return refused(&state).map_or(Ok(()), Err);
        }
        Err(match &*self.state.borrow() {
            LinkState::Down(Some(error)) => connecting(error.clone()),
            LinkState::Down(None) | LinkState::Up { .. } => Error::new(
                crate::ErrorKind::Unavailable,
                "backend did not answer within the connect timeout",
            ),
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

fn answer(outcome: Result<Result<Value, Ended>, Elapsed>) -> Result<Value, Failure> {
    match replies(outcome)? {
        Value::ServerError(error) => Err(Failure::Answered(error.into())),
        value => Ok(value),
    }
}

fn replies<V>(outcome: Result<Result<V, Ended>, Elapsed>) -> Result<V, Failure> {
    match outcome {
        Ok(Ok(replies)) => Ok(replies),
        Ok(Err(ended)) => Err(ended.into()),
        Err(_elapsed) => Err(Failure::Lost(None)),
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::BeforeSending => Self::Down(Some(ended.into())),
            Ended::BeforeReply => Self::Lost(Some(ended.into())),
        }
    }
}

/// Opens one unsupervised RESP3 connection with a push closure, as the links do; for tests that
/// check what the links rely on.
///
/// # Errors
/// When the URL is not `redis://`, or the node does not answer.
#[doc(hidden)]
pub async fn raw_link(
    url: &str,
    on_push: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<(Wire, Running)> {
    let config = super::RedisConfig::parse(url, url)?;
    let super::Topology::Single(address) = &config.topology else {
        return Err(Error::invalid("raw_link takes one node"));
    };
    let dialer = Dialer::new(config.login.clone());
    dialer
        .dial(address, Arc::new(on_push))
        .await
        .map_err(connecting)
}
