//! What is kept of one session.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{
    Device, FieldChange, Fields, NewSession, SessionRecord, SessionTimes, TOUCHED_EVERY,
};
use crate::clock::Moment;

/// What an id leads to.
pub(super) enum Place {
    Session(Record),
    Moved(Moved),
}

/// An id that was rotated away.
pub(super) struct Moved {
    /// Hash of the successor.
    pub(super) to: String,
    /// What the successor's id follows from, where it may be known.
    pub(super) derivation: Option<String>,
    /// When the user authenticated, as far as this id shows.
    pub(super) authenticated: Moment,
    /// How long it goes on after the successor was used first.
    pub(super) grace: Duration,
}

/// A session; expires in its map when it ends.
pub(super) struct Record {
    pub(super) user: Option<Arc<str>>,
    pub(super) device: Device,
    pub(super) seed: String,
    pub(super) epoch: u64,
    pub(super) created: Moment,
    pub(super) authenticated: Moment,
    pub(super) touched: Moment,
    pub(super) idle: Duration,
    pub(super) deadline: Moment,
    pub(super) data: Fields,
    /// Hash of the id before, until this one was used.
    pub(super) predecessor: Option<String>,
}

impl Record {
    pub(super) fn new(session: &NewSession<'_>, epoch: u64, now: Moment) -> Self {
        Self {
            user: session.user.map(Into::into),
            device: session.device.clone(),
            seed: session.seed.clone(),
            epoch,
            created: now,
            authenticated: now,
            touched: now,
            idle: session.idle.as_duration(),
            deadline: now.after(session.absolute.as_duration()),
            data: session.data.clone(),
            predecessor: None,
        }
    }

    pub(super) fn ends(&self) -> Moment {
        let unnoticed = self.idle / TOUCHED_EVERY;
        let idle_until = self.touched.after(self.idle.saturating_add(unnoticed));
        idle_until.min(self.deadline)
    }

    /// Whether so much time has passed since the last use that another is worth writing down.
    pub(super) fn is_worth_a_touch(&self, now: Moment) -> bool {
        now.since(self.touched).saturating_mul(TOUCHED_EVERY) > self.idle
    }

    /// The changed fields that are no longer what they were.
    pub(super) fn conflicts(&self, changes: &[FieldChange]) -> Vec<String> {
        changes
            .iter()
            .filter(|change| self.data.get(&change.name) != change.before.as_ref())
            .map(|change| change.name.clone())
            .collect()
    }

    pub(super) fn apply(&mut self, changes: &[FieldChange]) {
        for change in changes {
            match &change.after {
                Some(after) => {
                    self.data.insert(change.name.clone(), after.clone());
                }
                None => {
                    self.data.remove(&change.name);
                }
            }
        }
    }

    pub(super) fn times(&self, now: Moment) -> SessionTimes {
        SessionTimes {
            expires_in: self.ends().since(now),
            absolute_in: self.deadline.since(now),
        }
    }

    pub(super) fn describe(&self, now: Moment, idle_for: Duration) -> SessionRecord {
        let times = self.times(now);
        SessionRecord {
            user: self.user.as_deref().map(str::to_owned),
            device: self.device.clone(),
            age: now.since(self.created),
            authenticated_for: now.since(self.authenticated),
            idle_for,
            expires_in: times.expires_in,
            absolute_in: times.absolute_in,
        }
    }
}
