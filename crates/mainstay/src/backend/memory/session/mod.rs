//! Sessions in memory.

mod record;
mod state;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::unpoisoned::lock;
use crate::backend::{
    Admission, Handover, ListedSession, NewSession, OnConflict, Rotated, Rotation, Save, Saved,
    SessionKeys, SessionStore, StoredSession, UserKeys,
};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use record::Moved;
use state::State;

pub(super) struct MemorySessions {
    clock: Arc<dyn Clock>,
    /// One mutex over all of it: each call touches a record, an epoch and a listing at once, and
    /// none takes longer than a few look-ups, but for `list`.
    state: Mutex<State>,
}

impl MemorySessions {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    fn times(&self) -> (Moment, Duration) {
        (self.clock.now(), self.clock.unix())
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    async fn create(&self, keys: &SessionKeys, session: &NewSession<'_>) -> Result<Admission> {
        let mut state = lock(&self.state);
        Ok(state.create(self.times(), keys, session))
    }

    async fn load(&self, keys: &SessionKeys) -> Result<Option<StoredSession>> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let Some(found) = state.find(now, keys) else {
            return Ok(None);
        };
        if found.keys == *keys {
            state.confirm(now, keys);
        }
        let Some(record) = state.record(now, &found.keys) else {
            return Ok(None);
        };
        let idle_for = now.since(record.touched);
        let is_touched = record.is_worth_a_touch(now);
        if is_touched {
            record.touched = now;
        }
        let mut session = StoredSession {
            record: record.describe(now, idle_for),
            data: record.data.clone(),
            seed: record.seed.clone(),
            id_hash: found.keys.id_hash.clone(),
            successors: found.successors,
        };
        if let Some(authenticated) = found.authenticated {
            session.record.authenticated_for = now.since(authenticated);
        }
        if is_touched {
            state.follow(now, &found.keys);
        }
        Ok(Some(session))
    }

    async fn save(&self, keys: &SessionKeys, save: &Save<'_>) -> Result<Saved> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let Some(found) = state.find(now, keys) else {
            return Ok(Saved::Ended);
        };
        let Some(record) = state.record(now, &found.keys) else {
            return Ok(Saved::Ended);
        };
        if save.on_conflict == OnConflict::Refuse {
            let conflicts = record.conflicts(save.changes);
            if !conflicts.is_empty() {
                return Ok(Saved::Conflict(conflicts));
            }
        }
        record.apply(save.changes);
        if let Some(lasts) = save.lasts {
            record.touched = now;
            record.idle = lasts.as_duration();
            record.deadline = now.after(lasts.as_duration());
            state.follow(now, &found.keys);
        }
        Ok(Saved::Stored)
    }

    async fn rotate(&self, keys: &SessionKeys, rotation: &Rotation<'_>) -> Result<Rotated> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        if state.find(now, keys).is_none() {
            return Ok(Rotated::Ended);
        }
        if let Some(moved) = state.moved(now, keys) {
            return Ok(Rotated::Before(moved.derivation.clone()));
        }
        // That it is asked for by this id is a use of it.
        state.confirm(now, keys);
        let Some(record) = state.record(now, keys) else {
            return Ok(Rotated::Ended);
        };
        let authenticated = record.authenticated;
        let grace = rotation.grace.as_duration();
        let (derivation, until) = match rotation.handover {
            // Until the new one is used: as long as the session may last.
            Handover::Derived(derivation) => (Some(derivation.to_owned()), record.deadline),
            Handover::Authenticated => {
                record.authenticated = now;
                record.touched = now;
                (None, record.ends().min(now.after(grace)))
            }
        };
        let times = record.times(now);
        let moved = Moved {
            to: rotation.id_hash.to_owned(),
            derivation,
            authenticated,
            grace,
        };
        state.rename(now, keys, moved, until);
        Ok(Rotated::Done(times))
    }

    async fn revoke(&self, keys: &SessionKeys) -> Result<bool> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let Some(found) = state.find(now, keys) else {
            return Ok(false);
        };
        state.remove(now, &found.keys);
        Ok(true)
    }

    async fn revoke_all(&self, keys: &UserKeys) -> Result<u64> {
        let mut state = lock(&self.state);
        let revoked = state.revoke_all(self.times(), keys);
        Ok(revoked.map_or(0, |(_, listed)| listed))
    }

    async fn revoke_others(&self, keys: &SessionKeys) -> Result<Option<u64>> {
        let mut state = lock(&self.state);
        let (now, unix) = self.times();
        let Some(found) = state.find(now, keys) else {
            return Ok(None);
        };
        let Some((epoch, listed)) = state.revoke_all((now, unix), &keys.of_user) else {
            return Ok(Some(0));
        };
        if let Some(record) = state.record(now, &found.keys) {
            record.epoch = epoch;
        }
        state.follow(now, &found.keys);
        Ok(Some(listed.saturating_sub(1)))
    }

    async fn list(&self, keys: &UserKeys, limit: usize) -> Result<Vec<ListedSession>> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let ids = state.listed(now, keys, limit);
        let listed = ids.into_iter().filter_map(|id_hash| {
            let keys = SessionKeys {
                of_user: keys.clone(),
                id_hash,
            };
            let record = state.record(now, &keys)?;
            let record = record.describe(now, now.since(record.touched));
            Some(ListedSession {
                id_hash: keys.id_hash,
                record,
            })
        });
        Ok(listed.collect())
    }
}
