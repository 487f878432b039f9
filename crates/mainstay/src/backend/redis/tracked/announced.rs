//! Whoever changes an entry announces it, with a number that shows what was missed.
//!
//! For servers, proxies and logins without client tracking. Every process that writes must
//! announce; changes by programs that do not, and evictions, are not heard of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use redis::{PushInfo, PushKind, RedisError, Value};

use super::Setup;
use crate::backend::redis::link::{Hooks, Wire};
use crate::backend::{Lane, Watchers};
use crate::clock::Clock;

/// No number is known yet.
const UNKNOWN: u64 = u64::MAX;

pub(super) struct Announced {
    lane: Arc<Lane>,
    watchers: Arc<Watchers>,
    clock: Arc<dyn Clock>,
    /// The counter and the channel have one name.
    channel: String,
    /// The number of the last announcement.
    last: AtomicU64,
}

impl Announced {
    pub(super) fn new(setup: &Setup, lane: Arc<Lane>, channel: String) -> Self {
        Self {
            lane,
            watchers: Arc::clone(&setup.watchers),
            clock: Arc::clone(&setup.clock),
            channel,
            last: AtomicU64::new(UNKNOWN),
        }
    }

    async fn counter(&self, connection: &Wire) -> Result<u64, RedisError> {
        let mut get = redis::cmd("GET");
        get.arg(&self.channel);
        let reply = connection.call(&get).await?.extract_error()?;
        Ok(match reply {
            Value::BulkString(text) => number(&text).unwrap_or(UNKNOWN),
            _ => 0,
        })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[async_trait]
impl Hooks for Announced {
    async fn on_connect(&self, connection: &Wire) -> Result<(), RedisError> {
        // What was read on the connection before, even after its end was noted, is past.
        self.lane.interrupt();
        let sent = self.clock.now();
        connection.subscribe(&[&self.channel]).await?;
        let counter = self.counter(connection).await?;
        self.last.store(counter, Ordering::SeqCst);
        self.lane.confirm(sent);
        Ok(())
    }

    fn on_push(&self, push: PushInfo) {
        let (PushKind::Message, [_, Value::BulkString(payload)]) =
            (push.kind, push.data.as_slice())
        else {
            return;
        };
        let mut parts = payload.splitn(2, |byte| *byte == b' ');
        let announced = parts.next().and_then(number).zip(parts.next());
        let Some((number, key)) = announced else {
            return;
        };
        let before = self.last.swap(number, Ordering::SeqCst);
        match std::str::from_utf8(key) {
            Ok(key) if before.wrapping_add(1) == number => self.watchers.changed(key),
            // Something was missed.
            Ok(_) | Err(_) => self.on_down(),
        }
    }

    /// Announcements of before precede the reply: a counter that is ahead of them shows a loss.
    async fn heartbeat(&self, connection: &Wire) -> Result<(), RedisError> {
        let sent = self.clock.now();
        let counter = self.counter(connection).await?;
        // One that arrives between the reply and this look is ahead of the counter, by right.
        if self.last.fetch_max(counter, Ordering::SeqCst) < counter || counter == 0 {
            self.last.store(counter, Ordering::SeqCst);
            self.on_down();
        }
        self.lane.confirm(sent);
        Ok(())
    }

    fn on_down(&self) {
        self.lane.interrupt();
        self.watchers.flushed();
    }
}
