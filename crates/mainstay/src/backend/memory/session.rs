//! Sessions in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::epoch::next_number;
use super::expiring::ExpiringMap;
use super::listing::Listing;
use crate::backend::unpoisoned::lock;
use crate::backend::{
    ListedSession, NewSession, SessionKeys, SessionRecord, SessionStore, StoredSession,
};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;

/// How much longer an epoch is kept than the last session that it makes valid.
const EPOCH_KEPT: Duration = Duration::from_mins(1);

pub(super) struct MemorySessions {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// One mutex over all of it: each call touches a record, an epoch and a listing at once, and
/// none takes longer than a few look-ups, but for `list`.
#[derive(Default)]
struct State {
    records: ExpiringMap<StoreKey, Record, Moment>,
    epochs: ExpiringMap<StoreKey, u64, Moment>,
    listings: ExpiringMap<StoreKey, Listing, Moment>,
}

/// Expires in its map when its idle time has run out or its deadline has come.
struct Record {
    user: Arc<str>,
    epoch: u64,
    created: Moment,
    touched: Moment,
    idle: Duration,
    deadline: Moment,
    data: Bytes,
}

impl Record {
    fn ends(&self) -> Moment {
        self.touched.after(self.idle).min(self.deadline)
    }

    /// Writing down each use would cost more than it tells: a twentieth of the idle time is enough.
    fn touch(&mut self, now: Moment) {
        if now.since(self.touched).saturating_mul(20) > self.idle {
            self.touched = now;
        }
    }

    fn describe(&self, now: Moment, idle_for: Duration) -> SessionRecord {
        SessionRecord {
            user: self.user.to_string(),
            age: now.since(self.created),
            idle_for,
            expires_in: self.ends().since(now),
            absolute_in: self.deadline.since(now),
        }
    }
}

impl MemorySessions {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    async fn create(&self, keys: &SessionKeys, session: &NewSession<'_>) -> Result<()> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let absolute = session.absolute.as_duration();
        let mut keep = now.after(absolute).after(EPOCH_KEPT);
        let epoch = if let Some(epoch) = state.epochs.get(now, &keys.user) {
            keep = keep.max(epoch.expires_at());
            epoch.value
        } else {
            next_number(None, self.clock.unix())
        };
        state.epochs.insert(now, keys.user.clone(), epoch, keep);

        let record = Record {
            user: session.user.into(),
            epoch,
            created: now,
            touched: now,
            idle: session.idle.as_duration(),
            deadline: now.after(absolute),
            data: session.data.clone(),
        };
        let mut listing = state.listings.remove(now, &keys.index).unwrap_or_default();
        listing.prune(now);
        listing.insert(&keys.id_hash, record.deadline);
        state
            .listings
            .insert(now, keys.index.clone(), listing, keep);

        let ends = record.ends();
        state.records.insert(now, keys.record.clone(), record, ends);
        Ok(())
    }

    async fn load(&self, keys: &SessionKeys) -> Result<Option<StoredSession>> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let Some(record) = state.valid(now, keys) else {
            return Ok(None);
        };
        let idle_for = now.since(record.touched);
        record.touch(now);
        let ends = record.ends();
        let session = StoredSession {
            record: record.describe(now, idle_for),
            data: record.data.clone(),
        };
        state.records.expire_at(now, &keys.record, ends);
        Ok(Some(session))
    }

    async fn revoke(&self, keys: &SessionKeys) -> Result<bool> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let valid = state.valid(now, keys).is_some();
        state.records.remove(now, &keys.record);
        if let Some(listing) = state.listings.get_mut(now, &keys.index) {
            listing.value.remove(&keys.id_hash);
        }
        Ok(valid)
    }

    async fn revoke_all(&self, user: &StoreKey, index: &StoreKey) -> Result<u64> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let Some(epoch) = state.epochs.get_mut(now, user) else {
            return Ok(0);
        };
        epoch.value = next_number(Some(epoch.value), self.clock.unix());
        let Some(mut listing) = state.listings.remove(now, index) else {
            return Ok(0);
        };
        drop(state);
        listing.prune(now);
        Ok(listing.len() as u64)
    }

    async fn list(
        &self,
        user: &StoreKey,
        index: &StoreKey,
        record_of: &(dyn for<'a> Fn(&'a str) -> StoreKey + Send + Sync),
        limit: usize,
    ) -> Result<Vec<ListedSession>> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let State {
            records,
            epochs,
            listings,
        } = &mut *state;
        let Some(listing) = listings.get_mut(now, index) else {
            return Ok(Vec::new());
        };
        let (mut listed, mut dead) = (Vec::new(), Vec::new());
        for id_hash in listing.value.iter() {
            if listed.len() == limit {
                break;
            }
            if let Some(record) = valid(now, records, epochs, (&record_of(id_hash), user)) {
                listed.push(ListedSession {
                    id_hash: id_hash.to_owned(),
                    record: record.describe(now, now.since(record.touched)),
                });
            } else {
                dead.push(id_hash.to_owned());
            }
        }
        for id_hash in dead {
            listing.value.remove(&id_hash);
        }
        Ok(listed)
    }
}

impl State {
    fn valid(&mut self, now: Moment, keys: &SessionKeys) -> Option<&mut Record> {
        valid(
            now,
            &mut self.records,
            &mut self.epochs,
            (&keys.record, &keys.user),
        )
    }
}

/// The record, if it has not expired and is of its user's epoch.
fn valid<'a>(
    now: Moment,
    records: &'a mut ExpiringMap<StoreKey, Record, Moment>,
    epochs: &mut ExpiringMap<StoreKey, u64, Moment>,
    (record, user): (&StoreKey, &StoreKey),
) -> Option<&'a mut Record> {
    let epoch = epochs.get(now, user)?.value;
    let record = &mut records.get_mut(now, record)?.value;
    (record.epoch == epoch).then_some(record)
}
