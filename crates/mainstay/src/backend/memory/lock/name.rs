//! One name: who holds it, who waits for it, what is remembered of it.

use std::collections::VecDeque;

use crate::backend::{Hold, HolderView, LockView, REMEMBERED};
use crate::clock::Moment;

#[derive(Default)]
pub(super) struct Name {
    pub(super) holders: Vec<Held>,
    /// Who waits, in their order.
    queue: VecDeque<Place>,
    /// The last that was given out.
    pub(super) fence: Option<u64>,
    /// The last who have released, the latest at the end.
    released: VecDeque<String>,
    pub(super) broken: Option<Broken>,
}

pub(super) struct Held {
    pub(super) owner: String,
    pub(super) units: u32,
    pub(super) holder: String,
    pub(super) fence: u64,
    pub(super) since: Moment,
    pub(super) ends: Moment,
}

/// Who waits, until when unless they ask again.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) owner: String,
    pub(super) ends: Moment,
}

/// A hold that was ended for its holder.
pub(super) struct Broken {
    pub(super) owner: String,
    pub(super) at: Moment,
    pub(super) by: String,
    pub(super) reason: String,
}

impl Name {
    /// Drops leases and places that have ended.
    pub(super) fn drop_ended(&mut self, now: Moment) {
        self.holders.retain(|held| now < held.ends);
        self.queue.retain(|place| now < place.ends);
    }

    pub(super) fn units(&self) -> u32 {
        let units = self.holders.iter().map(|held| held.units);
        units.fold(0, u32::saturating_add)
    }

    pub(super) fn held_by(&mut self, owner: &str) -> Option<&mut Held> {
        self.holders.iter_mut().find(|held| held.owner == owner)
    }

    /// Ends a hold; false if there is none of that owner.
    pub(super) fn end(&mut self, owner: &str) -> bool {
        let before = self.holders.len();
        self.holders.retain(|held| held.owner != owner);
        self.holders.len() < before
    }

    pub(super) fn remember_release(&mut self, owner: &str) {
        if self.released.len() == REMEMBERED {
            self.released.pop_front();
        }
        self.released.push_back(owner.to_owned());
    }

    pub(super) fn was_released_by(&self, owner: &str) -> bool {
        self.released.iter().any(|released| released == owner)
    }

    /// Whose lease ends first.
    pub(super) fn first_to_end(&self) -> Option<&Held> {
        self.holders.iter().min_by_key(|held| held.ends)
    }

    /// Who has waited longest.
    pub(super) fn first(&self) -> Option<&Place> {
        self.queue.front()
    }

    /// Takes or keeps a place, if one is wanted; how many come before.
    pub(super) fn queue_up(&mut self, now: Moment, hold: &Hold<'_>) -> Option<u64> {
        let ends = now.after(hold.place?.as_duration());
        let own = self.queue.iter().position(|it| it.owner == hold.owner);
        let index = own.unwrap_or(self.queue.len());
        if let Some(place) = self.queue.get_mut(index) {
            place.ends = ends;
        } else {
            let owner = hold.owner.to_owned();
            self.queue.push_back(Place { owner, ends });
        }
        u64::try_from(index).ok()
    }

    pub(super) fn leave(&mut self, owner: &str) {
        self.queue.retain(|place| place.owner != owner);
    }

    pub(super) fn view(&self, now: Moment) -> LockView {
        let mut holders: Vec<_> = self.holders.iter().collect();
        holders.sort_by_key(|held| held.ends);
        let seen = |held: &Held| HolderView {
            owner: held.owner.clone(),
            left: Some(held.ends.since(now)),
            holder: held.holder.clone(),
            fence: Some(held.fence),
            held_for: Some(now.since(held.since)),
        };
        let broken = self.broken.as_ref().map(|broken| {
            let ago = now.since(broken.at);
            (ago, broken.by.clone(), broken.reason.clone())
        });
        LockView {
            holders: holders.into_iter().map(seen).collect(),
            waiting: self.queue.len().try_into().unwrap_or(u64::MAX),
            broken,
        }
    }
}
