//! One connection that many callers share: commands go out together, replies come back in order,
//! pushes go aside.
//!
//! A caller writes its command into a buffer and wakes the driver, which sends whatever has come
//! together by the time it runs. Replies belong to commands by their order alone, so a caller that
//! stops waiting leaves its place behind.

mod driver;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};

use futures_util::task::AtomicWaker;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, PushInfo, RedisError, RedisFuture, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, oneshot};

use self::driver::Driver;
use super::request::{Request, write_pipeline};
use crate::backend::unpoisoned::lock;

/// Takes each push in the driver.
pub(crate) type PushHandler = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Bytes that may wait to be sent; callers wait while there are more.
const MOST_UNSENT: usize = 1 << 20;

/// Commands that may wait for their replies.
const MOST_WAITING: usize = 100_000;

/// A connection's callers' side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wire(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    outbox: Mutex<Outbox>,
    driver: AtomicWaker,
    /// Wakes callers that wait until there is room in the outbox.
    room: Notify,
}

/// What the driver has not taken yet.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    waiters: Vec<Waiter>,
    /// Commands without a reply, those that the driver has taken included.
    waiting: usize,
    is_closed: bool,
}

/// Who gets the next replies.
#[derive(Debug)]
enum Waiter {
    One(oneshot::Sender<Value>),
    Several {
        wanted: usize,
        replies: Vec<Value>,
        caller: oneshot::Sender<Vec<Value>>,
    },
    /// Of subscriptions, which are answered by pushes.
    Confirmations {
        wanted: usize,
        caller: oneshot::Sender<Value>,
    },
}

impl Wire {
    /// Takes a stream over. The caller runs the driver; the connection lives as long.
    pub(super) fn new(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        on_push: PushHandler,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let shared = Arc::new(Shared::default());
        let driver = Driver::new(stream, Arc::clone(&shared), on_push);
        (Self(shared), driver)
    }

    /// Sends one command and awaits its reply, which may be an error of the server.
    /// Dropping the future may leave the command executed.
    pub(crate) async fn call(&self, request: &dyn Request) -> Result<Value, Ended> {
        let (caller, reply) = oneshot::channel();
        self.enter(Waiter::One(caller), |out| request.write(out))
            .await?;
        reply.await.map_err(|_| Ended::BeforeReply)
    }

    /// Sends commands together and awaits their replies, errors of the server among them.
    pub(crate) async fn call_all(&self, commands: &Pipeline) -> Result<Vec<Value>, Ended> {
        self.call_several(commands.len(), |out| write_pipeline(commands, out))
            .await
    }

    /// As [`call_all`](Self::call_all), for so many commands that are `write`n.
    pub(crate) async fn call_several(
        &self,
        wanted: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<Value>, Ended> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let (caller, replies) = oneshot::channel();
        let waiter = Waiter::Several {
            wanted,
            replies: Vec::with_capacity(wanted),
            caller,
        };
        self.enter(waiter, write).await?;
        replies.await.map_err(|_| Ended::BeforeReply)
    }

    /// Subscribes to channels and awaits the confirmation of each.
    pub(crate) async fn subscribe(&self, channels: &[&str]) -> Result<(), RedisError> {
        self.change_subscriptions("SUBSCRIBE", channels).await
    }

    /// Takes subscriptions back.
    pub(crate) async fn unsubscribe(&self, channels: &[&str]) -> Result<(), RedisError> {
        self.change_subscriptions("UNSUBSCRIBE", channels).await
    }

    async fn change_subscriptions(&self, verb: &str, channels: &[&str]) -> Result<(), RedisError> {
        let mut command = redis::cmd(verb);
        command.arg(channels);
        let (caller, outcome) = oneshot::channel();
        let wanted = channels.len();
        let waiter = Waiter::Confirmations { wanted, caller };
        self.enter(waiter, |out| command.write(out)).await?;
        outcome
            .await
            .map_err(|_| Ended::BeforeReply)?
            .extract_error()
            .map(drop)
    }

    /// Joins the queue once there is room in it.
    async fn enter(&self, waiter: Waiter, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Ended> {
        let shared = &*self.0;
        loop {
            // Before the look: room that is made after it is not missed.
            let room = shared.room.notified();
            {
                let mut outbox = lock(&shared.outbox);
                if outbox.is_closed {
                    return Err(Ended::BeforeSending);
                }
                if outbox.bytes.len() < MOST_UNSENT && outbox.waiting < MOST_WAITING {
                    write(&mut outbox.bytes);
                    outbox.waiting += waiter.wanted();
                    outbox.waiters.push(waiter);
                    break;
                }
            }
            room.await;
        }
        shared.driver.wake();
        Ok(())
    }
}

/// The connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The command was not sent.
    BeforeSending,
    /// The command may have been executed.
    BeforeReply,
}

impl From<Ended> for RedisError {
    fn from(ended: Ended) -> Self {
        let (kind, why) = match ended {
            Ended::BeforeSending => (io::ErrorKind::NotConnected, "connection has ended"),
            Ended::BeforeReply => (
                io::ErrorKind::BrokenPipe,
                "connection ended before the reply",
            ),
        };
        io::Error::new(kind, why).into()
    }
}

/// For tests and benches that speak to the driver itself.
impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.call(command).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let replies = self.call_all(commands).await?;
            Ok(replies.into_iter().skip(offset).take(count).collect())
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl Waiter {
    /// How many replies it takes.
    fn wanted(&self) -> usize {
        match self {
            Self::One(_) | Self::Confirmations { .. } => 1,
            Self::Several { wanted, .. } => *wanted,
        }
    }
}

#[cfg(test)]
mod tests;
