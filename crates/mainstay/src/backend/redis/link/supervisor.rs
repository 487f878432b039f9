//! Keeps one connection alive: dial, set up, publish, watch, start over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{ErrorKind, RedisError, Value};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::backoff::Backoff;
use super::dial::Running;
use super::wire::Wire;
use super::{Dialer, Hooks, LinkConfig, LinkState, Locate, ping};

pub(super) struct Supervisor {
    pub(super) config: LinkConfig,
    pub(super) dialer: Dialer,
    pub(super) target: Arc<dyn Locate>,
    pub(super) hooks: Arc<dyn Hooks>,
    pub(super) state: watch::Sender<LinkState>,
    pub(super) given_up: watch::Receiver<u64>,
    pub(super) is_away: Arc<AtomicBool>,
}

impl Supervisor {
    pub(super) async fn run(mut self) {
        let role = self.config.role;
        let mut backoff = Backoff::default();
        let mut epoch = 0;
        loop {
            let is_set_up = AtomicBool::new(false);
            match timeout(self.config.connect_timeout, self.open(&is_set_up)).await {
                Ok(Ok((connection, mut driver))) => {
                    epoch += 1;
                    backoff.reset();
                    self.is_away.store(false, Ordering::SeqCst);
                    tracing::info!(role, epoch, "connected");
                    metrics::counter!("mainstay_link_connects_total", "role" => role).increment(1);
                    self.state.send_replace(LinkState::Up {
                        epoch,
                        connection: connection.clone(),
                    });
                    let reason = self.watch(epoch, connection, &mut driver).await;
                    tracing::warn!(role, epoch, %reason, "connection lost");
                    metrics::counter!("mainstay_link_losses_total", "role" => role).increment(1);
                    self.hooks.on_down();
                    self.state.send_replace(LinkState::Down(Some(reason)));
                }
                Ok(Err(error)) => self.attempt_failed(error, is_set_up.into_inner()),
                Err(_elapsed) => {
                    let why = "no connection within the connect timeout";
                    let error = RedisError::from((ErrorKind::Io, why));
                    self.attempt_failed(error, is_set_up.into_inner());
                }
            }
            sleep(backoff.next()).await;
        }
    }

    fn attempt_failed(&self, error: RedisError, is_set_up: bool) {
        let role = self.config.role;
        tracing::debug!(role, %error, "connection attempt failed");
        metrics::counter!("mainstay_link_failed_attempts_total", "role" => role).increment(1);
        if is_set_up {
            // It is gone with the connection.
            self.hooks.on_down();
        }
        self.is_away.store(true, Ordering::SeqCst);
        self.state.send_replace(LinkState::Down(Some(error)));
    }

    /// Says on the way, for those who do not hear the end, whether the hooks have been at work.
    async fn open(&self, is_set_up: &AtomicBool) -> Result<(Wire, Running), RedisError> {
        let address = self.target.locate().await?;
        let hooks = Arc::clone(&self.hooks);
        let (connection, driver) = self
            .dialer
            .dial(&address, Arc::new(move |push| hooks.on_push(push)))
            .await?;
        // A node that loads its data accepts connections and answers an error here.
        ping(&connection).await?;
        if self.target.must_be_primary() {
            check_primary(&connection).await?;
        }
        is_set_up.store(true, Ordering::SeqCst);
        self.hooks.on_connect(&connection).await?;
        Ok((connection, driver))
    }

    /// Returns when the connection must be given up, with the reason.
    async fn watch(&mut self, epoch: u64, connection: Wire, driver: &mut Running) -> RedisError {
        let lost = |why: &'static str| RedisError::from((ErrorKind::Io, why));
        let mut ticks = interval(self.config.heartbeat);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let patience = self.config.heartbeat_timeout;
        let (hooks, must_be_primary) = (Arc::clone(&self.hooks), self.target.must_be_primary());
        let ask = async |connection: &Wire| {
            if must_be_primary {
                // One that was demoted meanwhile answers everything but writes.
                check_primary(connection).await?;
            }
            hooks.heartbeat(connection).await
        };
        let heartbeat = async {
            loop {
                ticks.tick().await;
                match timeout(patience, ask(&connection)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return error,
                    Err(_elapsed) => {
                        // It is silent: whoever takes its connections may be so for long.
                        self.is_away.store(true, Ordering::SeqCst);
                        return lost("heartbeat was not answered");
                    }
                }
            }
        };
        tokio::select! {
            error = heartbeat => error,
            _ended = &mut driver.0 => lost("connection closed"),
            _ = self.given_up.wait_for(|given_up| *given_up >= epoch) => lost("asked to reconnect"),
        }
    }
}

async fn check_primary(connection: &Wire) -> Result<(), RedisError> {
    let role = connection.call(&redis::cmd("ROLE")).await?;
    let Value::Array(fields) = role.extract_error()? else {
        return Err(RedisError::from((
            ErrorKind::UnexpectedReturnType,
            "ROLE was not answered by an array",
        )));
    };
    match fields.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        _ => Err(RedisError::from((ErrorKind::Io, "node is not a primary"))),
    }
}
