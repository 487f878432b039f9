//! Histories on Redis: a hash of the state, a stream of the messages, a channel that tells of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;
use tokio::time::Instant;

use super::cache::millis;
use super::commander::{Commander, Effect};
use super::hub::{Hub, HubSubscription};
use super::{Limits, reply, script};
use crate::backend::digest::sha1_hex;
use crate::backend::history::{LIVE_MOST, Live};
use crate::backend::mailbox::Mailbox;
use crate::backend::{
    Append, Appended, Delivery, HistoryEntry, HistoryListener, HistoryPage, HistoryStore,
    LiveHistory, Position, Subscription,
};
use crate::error::Result;
use crate::key::StoreKey;
use crate::random;

/// How long a history is remembered beyond its age.
const UNWRITTEN_MS: &str = "604800000";

/// What a message of a page consists of in the script's answer.
const FIELDS: usize = 5;

#[derive(Debug)]
pub(super) struct RedisHistories {
    commander: Arc<Commander>,
    hub: Arc<Hub>,
    limits: Limits,
}

impl RedisHistories {
    pub(super) fn new(commander: Arc<Commander>, hub: Arc<Hub>, limits: Limits) -> Self {
        Self {
            commander,
            hub,
            limits,
        }
    }
}

fn messages(log: &StoreKey) -> String {
    log.companion("l")
}

fn channel(log: &StoreKey) -> StoreKey {
    log.sibling("w")
}

#[async_trait]
impl HistoryStore for RedisHistories {
    async fn append(&self, log: &StoreKey, append: &Append<'_>) -> Result<Appended> {
        let keep = &append.keep;
        let (mark, stream, channel) = (random::short_token(), messages(log), channel(log));
        let (count, bytes) = (keep.count.to_string(), keep.bytes.to_string());
        let remembered = keep.remembered().as_millis().to_string();
        let (age, most) = (millis(keep.age), LIVE_MOST.to_string());
        let once = append.once.map(|(key, window)| {
            (
                log.companion(&format!("o:{}", sha1_hex(key.as_bytes()))),
                millis(window),
            )
        });
        let (mut keys, window) = (vec![log.as_str(), &stream], once.as_ref());
        keys.extend(window.map(|(key, _)| key.as_str()));
        let arguments: [&[u8]; 9] = [
            &append.payload,
            mark.as_bytes(),
            count.as_bytes(),
            age.as_bytes(),
            bytes.as_bytes(),
            remembered.as_bytes(),
            channel.as_str().as_bytes(),
            most.as_bytes(),
            window.map_or(b"", |(_, window)| window.as_bytes()),
        ];
        let effect = if once.is_some() {
            Effect::Idempotent
        } else {
            Effect::Once
        };
        let script = &script::HISTORY_APPEND;
        let appended = self.commander.eval(script, &keys, &arguments, effect);
        let [epoch, sequence, mark, is_repeated] = reply::fields(appended.await?)?;
        Ok(Appended {
            position: position(epoch, &sequence, mark)?,
            is_repeated: reply::count(&is_repeated)? == 1,
        })
    }

    async fn read(
        &self,
        log: &StoreKey,
        from: u64,
        most: NonZeroUsize,
        max_bytes: usize,
    ) -> Result<HistoryPage> {
        let stream = messages(log);
        let (from, most) = (from.to_string(), most.to_string());
        let (max_bytes, epoch) = (max_bytes.to_string(), random::short_token());
        let arguments = [&*from, &most, &max_bytes, &epoch, UNWRITTEN_MS].map(str::as_bytes);
        let keys = [log.as_str(), &stream];
        // An epoch for a new history and what has grown too old make no difference to anybody else.
        let (script, effect) = (&script::HISTORY_READ, Effect::Read);
        let page = self.commander.eval(script, &keys, &arguments, effect);
        page_of(page.await?)
    }

    async fn listen(
        &self,
        log: &StoreKey,
        max_bytes: NonZeroUsize,
    ) -> Result<Box<dyn HistoryListener>> {
        let deadline = Instant::now() + self.limits.command;
        let (channel, mailbox) = ([channel(log)], Mailbox::new(max_bytes));
        let subscription = self.hub.subscribe(&channel, mailbox, deadline).await?;
        Ok(Box::new(RedisListener(subscription)))
    }
}

fn position(epoch: Value, sequence: &Value, mark: Value) -> Result<Position> {
    Ok(Position {
        epoch: reply::text(epoch)?.into(),
        sequence: reply::count(sequence)?,
        mark: reply::text(mark)?.into(),
    })
}

fn page_of(value: Value) -> Result<HistoryPage> {
    let mut fields = reply::list(value)?.into_iter();
    let mut field = || fields.next().ok_or_else(reply::too_short);
    let (epoch, sequence, mark, first) = (field()?, field()?, field()?, field()?);
    let mut page = HistoryPage {
        last: position(epoch, &sequence, mark)?,
        first: reply::count(&first)?,
        entries: Vec::with_capacity(fields.len() / FIELDS),
    };
    while let Some(sequence) = fields.next() {
        let mut field = || fields.next().ok_or_else(reply::too_short);
        page.entries.push(HistoryEntry {
            sequence: reply::count(&sequence)?,
            mark: reply::text(field()?)?.into(),
            before: reply::text(field()?)?.into(),
            appended_ms: reply::count(&field()?)?,
            payload: reply::bytes(field()?)?,
        });
    }
    Ok(page)
}

#[derive(Debug)]
struct RedisListener(HubSubscription);

#[async_trait]
impl HistoryListener for RedisListener {
    async fn next(&mut self) -> LiveHistory {
        match self.0.next().await {
            Delivery::Message { payload, .. } => Live::read(&payload),
            Delivery::Gap(reason) => LiveHistory::Missed(reason),
        }
    }
}
