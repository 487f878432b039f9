//! All sessions, and the look-ups that every operation begins with.

use std::time::Duration;

use super::record::{Moved, Place, Record};
use crate::backend::memory::epoch::next_number;
use crate::backend::memory::expiring::ExpiringMap;
use crate::backend::memory::listing::Listing;
use crate::backend::{Admission, Cap, NewSession, SUCCESSORS_MAX, SessionKeys, UserKeys, WhenFull};
use crate::clock::Moment;
use crate::key::StoreKey;

/// How much longer an epoch is kept than the last session that it makes valid.
const EPOCH_KEPT: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(super) struct State {
    places: ExpiringMap<StoreKey, Place, Moment>,
    epochs: ExpiringMap<StoreKey, u64, Moment>,
    listings: ExpiringMap<StoreKey, Listing, Moment>,
}

/// Where an id leads.
pub(super) struct Found {
    /// The keys of the session under its present id.
    pub(super) keys: SessionKeys,
    /// What the ids on the way follow from; `None` when one of them may not be known.
    pub(super) successors: Option<Vec<String>>,
    /// When the user authenticated, as far as the ids on the way show.
    pub(super) authenticated: Option<Moment>,
}

impl State {
    /// The valid session that an id leads to.
    pub(super) fn find(&mut self, now: Moment, keys: &SessionKeys) -> Option<Found> {
        let mut found = Found {
            keys: keys.clone(),
            successors: Some(Vec::new()),
            authenticated: None,
        };
        for _ in 0..=SUCCESSORS_MAX {
            match &self.places.get(now, &found.keys.record())?.value {
                Place::Session(record) => {
                    let epoch = record.epoch;
                    let is_valid = record.user.is_none()
                        || self.epochs.get(now, &keys.of_user.user)?.value == epoch;
                    return is_valid.then_some(found);
                }
                Place::Moved(moved) => {
                    found.keys = keys.moved(moved.to.clone());
                    found.successors = match (found.successors, &moved.derivation) {
                        (Some(mut known), Some(derivation)) => {
                            known.push(derivation.clone());
                            Some(known)
                        }
                        _ => None,
                    };
                    let earlier = found.authenticated.unwrap_or(moved.authenticated);
                    found.authenticated = Some(earlier.min(moved.authenticated));
                }
            }
        }
        None
    }

    /// The session of this record.
    pub(super) fn record(&mut self, now: Moment, keys: &SessionKeys) -> Option<&mut Record> {
        match &mut self.places.get_mut(now, &keys.record())?.value {
            Place::Session(record) => Some(record),
            Place::Moved(_) => None,
        }
    }

    /// Where this very id leads, when it is another's.
    pub(super) fn moved(&mut self, now: Moment, keys: &SessionKeys) -> Option<&Moved> {
        match &self.places.get(now, &keys.record())?.value {
            Place::Session(_) => None,
            Place::Moved(moved) => Some(moved),
        }
    }

    /// Stores a session under its user's epoch, if there is room.
    pub(super) fn create(
        &mut self,
        (now, unix): (Moment, Duration),
        keys: &SessionKeys,
        session: &NewSession<'_>,
    ) -> Admission {
        if session.user.is_none() {
            self.put(now, keys, Record::new(session, 0, now));
            return Admission::Created { ended: 0 };
        }
        let of_user = &keys.of_user;
        let known = self.epochs.get(now, &of_user.user);
        let keep = now.after(session.absolute.as_duration()).after(EPOCH_KEPT);
        let keep = known.map_or(keep, |epoch| keep.max(epoch.expires_at()));
        let epoch = known.map_or_else(|| next_number(None, unix), |epoch| epoch.value);
        let listing = self.listings.remove(now, &of_user.index);
        let mut listing = listing.unwrap_or_default();
        listing.prune(now);

        let replaced = session.replaces.as_ref();
        let replaced = replaced.and_then(|id_hash| self.find(now, &keys.moved(id_hash.clone())));
        let replaced = replaced.map(|found| found.keys.id_hash);
        let made = make_room(&mut listing, session.cap, replaced);
        if let Some(ended) = &made {
            for id_hash in ended {
                self.places.remove(now, &of_user.record(id_hash));
            }
            let record = Record::new(session, epoch, now);
            listing.insert(&keys.id_hash, record.ends());
            self.put(now, keys, record);
            self.epochs.insert(now, of_user.user.clone(), epoch, keep);
        }
        self.listings
            .insert(now, of_user.index.clone(), listing, keep);
        made.map_or(Admission::Full, |ended| Admission::Created {
            ended: ended.len() as u64,
        })
    }

    fn put(&mut self, now: Moment, keys: &SessionKeys, record: Record) {
        let ends = record.ends();
        self.places
            .insert(now, keys.record(), Place::Session(record), ends);
    }

    /// Moves the end of a session that was changed, in its listing as well.
    pub(super) fn follow(&mut self, now: Moment, keys: &SessionKeys) {
        let Some(record) = self.record(now, keys) else {
            return;
        };
        let (ends, is_listed) = (record.ends(), record.user.is_some());
        self.places.expire_at(now, &keys.record(), ends);
        if is_listed && let Some(listing) = self.listings.get_mut(now, &keys.of_user.index) {
            listing.value.insert(&keys.id_hash, ends);
        }
    }

    /// Begins the grace of the id before, as this one is in use.
    pub(super) fn confirm(&mut self, now: Moment, keys: &SessionKeys) {
        let before = self
            .record(now, keys)
            .and_then(|record| record.predecessor.take());
        let Some(before) = before.map(|id_hash| keys.of_user.record(&id_hash)) else {
            return;
        };
        if let Some(place) = self.places.get(now, &before)
            && let Place::Moved(moved) = &place.value
        {
            let ends = place.expires_at().min(now.after(moved.grace));
            self.places.expire_at(now, &before, ends);
        }
    }

    /// Puts a session under another id, and what leads there under the present one.
    pub(super) fn rename(
        &mut self,
        now: Moment,
        keys: &SessionKeys,
        moved: Moved,
        moved_until: Moment,
    ) {
        let Some(Place::Session(mut record)) = self.places.remove(now, &keys.record()) else {
            return;
        };
        let successor = keys.moved(moved.to.clone());
        let ends = record.ends();
        if moved.derivation.is_some() {
            record.predecessor = Some(keys.id_hash.clone());
        }
        if record.user.is_some()
            && let Some(listing) = self.listings.get_mut(now, &keys.of_user.index)
        {
            listing.value.remove(&keys.id_hash);
            listing.value.insert(&successor.id_hash, ends);
        }
        self.put(now, &successor, record);
        self.places
            .insert(now, keys.record(), Place::Moved(moved), moved_until);
    }

    pub(super) fn remove(&mut self, now: Moment, keys: &SessionKeys) {
        self.places.remove(now, &keys.record());
        if let Some(listing) = self.listings.get_mut(now, &keys.of_user.index) {
            listing.value.remove(&keys.id_hash);
        }
    }

    /// Moves the epoch of a user who has one, and empties the listing; how many were listed.
    pub(super) fn revoke_all(
        &mut self,
        (now, unix): (Moment, Duration),
        keys: &UserKeys,
    ) -> Option<(u64, u64)> {
        let epoch = self.epochs.get_mut(now, &keys.user)?;
        epoch.value = next_number(Some(epoch.value), unix);
        let (epoch, keep) = (epoch.value, epoch.expires_at());
        let mut listing = self.listings.remove(now, &keys.index).unwrap_or_default();
        listing.prune(now);
        self.listings
            .insert(now, keys.index.clone(), Listing::default(), keep);
        Some((epoch, listing.len() as u64))
    }

    /// The ids of the user's valid sessions, those first that end last.
    pub(super) fn listed(&mut self, now: Moment, keys: &UserKeys, limit: usize) -> Vec<String> {
        let Some(listing) = self.listings.get_mut(now, &keys.index) else {
            return Vec::new();
        };
        listing.value.prune(now);
        let ids = listing.value.iter().take(limit);
        ids.map(str::to_owned).collect()
    }
}

/// Takes out of a listing what ends for one more; `None` when there is no room.
fn make_room(
    listing: &mut Listing,
    cap: Option<Cap>,
    replaced: Option<String>,
) -> Option<Vec<String>> {
    let mut ended: Vec<_> = replaced
        .filter(|it| listing.contains(it))
        .into_iter()
        .collect();
    let most = cap.map_or(usize::MAX, |cap| cap.sessions as usize);
    let refuses = cap.is_some_and(|cap| cap.when_full == WhenFull::Refuse);
    if refuses && listing.len() - ended.len() >= most {
        return None;
    }
    for id_hash in &ended {
        listing.remove(id_hash);
    }
    while listing.len() >= most {
        ended.extend(listing.pop_first());
    }
    Some(ended)
}
