//! Histories in memory.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::channel::MemoryChannels;
use super::expiring::ExpiringMap;
use crate::backend::history::{Live, LiveHeader};
use crate::backend::unpoisoned::lock;
use crate::backend::{
    Append, Appended, ChannelStore, Delivery, HistoryEntry, HistoryListener, HistoryPage,
    HistoryStore, Keep, LiveHistory, Position, Subscription,
};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;
use crate::random;

/// How long a history is remembered beyond its age.
const UNWRITTEN: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) struct MemoryHistories {
    clock: Arc<dyn Clock>,
    logs: Mutex<Logs>,
    told: MemoryChannels,
}

#[derive(Debug, Default)]
struct Logs {
    logs: ExpiringMap<StoreKey, Log, Moment>,
    once: ExpiringMap<(StoreKey, String), Position, Moment>,
}

#[derive(Debug)]
struct Log {
    last: Position,
    entries: VecDeque<(Moment, HistoryEntry)>,
    bytes: u64,
    age: Duration,
}

impl Log {
    fn new() -> Self {
        Self {
            last: Position {
                epoch: random::short_token().into(),
                sequence: 0,
                mark: "".into(),
            },
            entries: VecDeque::new(),
            bytes: 0,
            age: UNWRITTEN,
        }
    }

    fn sweep(&mut self, now: Moment, keep: Option<&Keep>) {
        while let Some((appended, entry)) = self.entries.front() {
            let kept = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
            let is_over = keep.is_some_and(|keep| kept > keep.count || self.bytes > keep.bytes);
            if !(is_over && kept > 1 || now.since(*appended) >= self.age) {
                return;
            }
            self.bytes -= bytes(entry);
            self.entries.pop_front();
        }
    }

    fn first(&self) -> u64 {
        let oldest = self.entries.front();
        oldest.map_or(self.last.sequence + 1, |(_, entry)| entry.sequence)
    }
}

fn bytes(entry: &HistoryEntry) -> u64 {
    u64::try_from(entry.payload.len()).unwrap_or(u64::MAX)
}

impl MemoryHistories {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            logs: Mutex::default(),
            told: MemoryChannels::default(),
        }
    }
}

#[async_trait]
impl HistoryStore for MemoryHistories {
    async fn append(&self, log: &StoreKey, append: &Append<'_>) -> Result<Appended> {
        let mut logs = lock(&self.logs);
        let (now, unix) = (self.clock.now(), self.clock.unix());
        let once = append
            .once
            .map(|(key, window)| ((log.clone(), key.to_owned()), window));
        if let Some((key, _)) = &once
            && let Some(before) = logs.once.get(now, key)
        {
            return Ok(Appended {
                position: before.value.clone(),
                is_repeated: true,
            });
        }
        let mut it = logs.logs.remove(now, log).unwrap_or_else(Log::new);
        let before = std::mem::replace(&mut it.last.mark, random::short_token().into());
        it.last.sequence += 1;
        it.age = append.keep.age.as_duration();
        let entry = HistoryEntry {
            sequence: it.last.sequence,
            mark: it.last.mark.clone(),
            before,
            appended_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            payload: append.payload.clone(),
        };
        let header = LiveHeader {
            epoch: &it.last.epoch,
            sequence: entry.sequence,
            mark: &entry.mark,
            before: &entry.before,
            appended_ms: entry.appended_ms,
        };
        let told = Live::write(header, &entry.payload);
        it.bytes += bytes(&entry);
        it.entries.push_back((now, entry));
        it.sweep(now, Some(&append.keep));
        let position = it.last.clone();
        let ends = now.after(append.keep.remembered());
        logs.logs.insert(now, log.clone(), it, ends);
        if let Some((key, window)) = once {
            let ends = now.after(window.as_duration());
            logs.once.insert(now, key, position.clone(), ends);
        }
        // Told under the lock, in the order of the log.
        self.told.send(log, &told);
        Ok(Appended {
            position,
            is_repeated: false,
        })
    }

    async fn read(
        &self,
        log: &StoreKey,
        from: u64,
        most: NonZeroUsize,
        max_bytes: usize,
    ) -> Result<HistoryPage> {
        let mut logs = lock(&self.logs);
        let now = self.clock.now();
        if let Some(age) = logs.logs.get(now, log).map(|it| it.value.age) {
            // What is read is remembered: who is up to date must not hear that all was lost.
            let ends = now.after(age.saturating_add(UNWRITTEN));
            logs.logs.expire_at(now, log, ends);
        } else {
            let ends = now.after(UNWRITTEN);
            logs.logs.insert(now, log.clone(), Log::new(), ends);
        }
        let it = logs.logs.get_mut(now, log);
        let it = &mut it.expect("invariant: it was just put there").value;
        it.sweep(now, None);
        let skipped = usize::try_from(from.saturating_sub(it.first())).unwrap_or(usize::MAX);
        let mut entries: Vec<HistoryEntry> = Vec::new();
        let mut left = max_bytes;
        for (_, entry) in it.entries.iter().skip(skipped).take(most.get()) {
            let rest = left.checked_sub(entry.payload.len());
            if rest.is_none() && entries.len() > 1 {
                break;
            }
            entries.push(entry.clone());
            left = rest.unwrap_or(0);
        }
        Ok(HistoryPage {
            last: it.last.clone(),
            first: it.first(),
            entries,
        })
    }

    async fn listen(
        &self,
        log: &StoreKey,
        max_bytes: NonZeroUsize,
    ) -> Result<Box<dyn HistoryListener>> {
        let heard = self.told.subscribe(std::slice::from_ref(log), max_bytes);
        Ok(Box::new(MemoryListener(heard.await?)))
    }
}

#[derive(Debug)]
struct MemoryListener(Box<dyn Subscription>);

#[async_trait]
impl HistoryListener for MemoryListener {
    async fn next(&mut self) -> LiveHistory {
        match self.0.next().await {
            Delivery::Message { payload, .. } => Live::read(&payload),
            Delivery::Gap(reason) => LiveHistory::Missed(reason),
        }
    }
}
