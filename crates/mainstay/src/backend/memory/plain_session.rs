//! Plain sessions in memory.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;

use super::expiring::ExpiringMap;
use super::listing::Listing;
use crate::backend::unpoisoned::lock;
use crate::backend::{NewPlainSession, PlainLayout, PlainSession, PlainSessionStore};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;
use crate::random;

pub(super) struct MemoryPlainSessions {
    clock: Arc<dyn Clock>,
    /// One mutex over both: each call touches a session and a listing at once.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sessions: ExpiringMap<StoreKey, PlainSession, Moment>,
    listings: ExpiringMap<StoreKey, Listing, Moment>,
}

impl MemoryPlainSessions {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }
}

impl State {
    /// Keeps the listing until the last of its sessions has ended.
    fn list(&mut self, now: Moment, listing: StoreKey, id: &str, ends: Moment) {
        let known = self.listings.get(now, &listing);
        let kept = known.map_or(ends, |known| known.expires_at().max(ends));
        let mut ids = self.listings.remove(now, &listing).unwrap_or_default();
        ids.prune(now);
        ids.insert(id, ends);
        self.listings.insert(now, listing, ids, kept);
    }
}

#[async_trait]
impl PlainSessionStore for MemoryPlainSessions {
    async fn create(
        &self,
        layout: &PlainLayout,
        session: &NewPlainSession<'_>,
    ) -> Result<PlainSession> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let ttl = session.ttl.as_duration();
        let (id, ends) = (random::uuid(), now.after(ttl));
        let expires_at = SystemTime::UNIX_EPOCH + self.clock.unix() + ttl;
        let issued = session.issue(id, expires_at);
        let key = layout.session(&issued.id);
        state.sessions.insert(now, key, issued.clone(), ends);
        state.list(now, layout.listing(session.user_id), &issued.id, ends);
        Ok(issued)
    }

    async fn load(&self, layout: &PlainLayout, id: &str) -> Result<Option<PlainSession>> {
        let mut state = lock(&self.state);
        let found = state.sessions.get(self.clock.now(), &layout.session(id));
        Ok(found.map(|found| found.value.clone()))
    }

    async fn revoke(&self, layout: &PlainLayout, id: &str) -> Result<bool> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let Some(session) = state.sessions.remove(now, &layout.session(id)) else {
            return Ok(false);
        };
        let listing = layout.listing(&session.user_id);
        if let Some(listing) = state.listings.get_mut(now, &listing) {
            listing.value.remove(id);
        }
        Ok(true)
    }

    async fn revoke_all(&self, layout: &PlainLayout, user_id: &str) -> Result<u64> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let listing = state.listings.remove(now, &layout.listing(user_id));
        let mut ended = 0;
        for id in listing.unwrap_or_default().iter() {
            let removed = state.sessions.remove(now, &layout.session(id));
            ended += u64::from(removed.is_some());
        }
        Ok(ended)
    }

    async fn list(
        &self,
        layout: &PlainLayout,
        user_id: &str,
        limit: usize,
    ) -> Result<Vec<PlainSession>> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        let State { sessions, listings } = &mut *state;
        let Some(listing) = listings.get_mut(now, &layout.listing(user_id)) else {
            return Ok(Vec::new());
        };
        listing.value.prune(now);
        let listed = listing.value.iter().take(limit).filter_map(|id| {
            let session = sessions.get(now, &layout.session(id))?;
            Some(session.value.clone())
        });
        Ok(listed.collect())
    }
}
