//! Sentinel: asks who is primary before each connection, and hears of a switch at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, Value};
use tokio::time::timeout;

use super::config::{Address, Login};
use super::link::{Dialer, Hooks, Link, LinkConfig, Locate, Wire};

/// For one question to one sentinel.
const ASK: Duration = Duration::from_secs(1);

/// The sentinels of one primary.
#[derive(Debug)]
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    primary: String,
    dialer: Dialer,
}

impl Sentinels {
    /// The login is the data nodes'; sentinels are asked without one.
    pub(crate) fn new(addresses: Vec<Address>, primary: &str, login: &Login) -> Self {
        Self {
            addresses,
            primary: primary.to_owned(),
            dialer: Dialer::new(Login {
                tls: login.tls,
                ..Login::default()
            }),
        }
    }

    async fn ask(&self, sentinel: &Address) -> Result<Address, RedisError> {
        let (connection, _driver) = self.dialer.dial(sentinel, Arc::new(|_| {})).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&self.primary);
        let answer = connection.call(&question).await?;
        let unknown = || {
            RedisError::from((
                ErrorKind::MasterNameNotFoundBySentinel,
                "sentinel does not know the primary's name",
            ))
        };
        match answer.extract_error()? {
            Value::Array(fields) => match fields.as_slice() {
                [Value::BulkString(host), Value::BulkString(port)] => Ok(Address::Tcp {
                    host: String::from_utf8_lossy(host).into_owned(),
                    port: std::str::from_utf8(port)
                        .ok()
                        .and_then(|port| port.parse().ok())
                        .ok_or_else(unknown)?,
                }),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

#[async_trait]
impl Locate for Sentinels {
    async fn locate(&self) -> Result<Address, RedisError> {
        let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no sentinel is named"));
        for sentinel in &self.addresses {
            match timeout(ASK, self.ask(sentinel)).await {
                Ok(Ok(address)) => return Ok(address),
                Ok(Err(error)) => last = error,
                Err(_elapsed) => {
                    last = RedisError::from((ErrorKind::Io, "sentinel did not answer in time"));
                }
            }
        }
        Err(last)
    }

    fn must_be_primary(&self) -> bool {
        true
    }
}

/// Listens to one sentinel for `+switch-master` and makes the links locate the primary anew.
#[derive(Debug)]
pub(crate) struct SentinelWatch {
    _link: Link,
}

impl SentinelWatch {
    pub(crate) fn start(
        connect_timeout: Duration,
        sentinels: &Arc<Sentinels>,
        follow: Follow,
    ) -> Self {
        let config = LinkConfig::new("sentinel", connect_timeout);
        let target = Arc::new(AnySentinel(Arc::clone(sentinels)));
        let hooks = Arc::new(OnSwitch {
            primary: sentinels.primary.clone(),
            follow,
        });
        Self {
            _link: Link::start(config, sentinels.dialer.clone(), target, hooks),
        }
    }
}

struct AnySentinel(Arc<Sentinels>);

#[async_trait]
impl Locate for AnySentinel {
    async fn locate(&self) -> Result<Address, RedisError> {
        for sentinel in &self.0.addresses {
            if let Ok(Ok(_)) = timeout(ASK, self.0.ask(sentinel)).await {
                return Ok(sentinel.clone());
            }
        }
        Err(RedisError::from((ErrorKind::Io, "no sentinel answers")))
    }
}

/// Makes links locate their node anew.
pub(crate) type Follow = Box<dyn Fn() + Send + Sync>;

struct OnSwitch {
    primary: String,
    follow: Follow,
}

#[async_trait]
impl Hooks for OnSwitch {
    async fn on_connect(&self, connection: &Wire) -> Result<(), RedisError> {
        connection.subscribe(&["+switch-master"]).await
    }

    fn on_push(&self, push: PushInfo) {
        let [_, Value::BulkString(payload)] = push.data.as_slice() else {
            return;
        };
        let named = payload.split(|byte| *byte == b' ').next();
        if push.kind == PushKind::Message && named == Some(self.primary.as_bytes()) {
            tracing::info!(primary = self.primary, "sentinel announced a new primary");
            (self.follow)();
        }
    }
}
