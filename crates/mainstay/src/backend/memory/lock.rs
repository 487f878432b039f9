//! Locks in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::epoch::next_number;
use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{
    BreakOrder, Hold, LockRelease, LockStore, LockTry, LockView, Renewal, Turns, Wakeups,
};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;
use async_trait::async_trait;

/// How long a name's last fence outlives its last lease.
const FENCE_KEPT: Duration = Duration::from_hours(7 * 24);

/// Leases end on the clock that never goes back: a step of the wall clock neither frees a held
/// name early nor keeps it longer. Only fences are taken from the wall clock.
pub(super) struct MemoryLocks {
    clock: Arc<dyn Clock>,
    names: Mutex<Names>,
    turns: Arc<Turns>,
}

#[derive(Default)]
struct Names {
    held: ExpiringMap<StoreKey, Held, Moment>,
    last: ExpiringMap<StoreKey, Last, Moment>,
    /// Names that somebody waits for.
    queues: HashMap<StoreKey, VecDeque<Place>>,
}

/// Who waits, until when unless they ask again.
struct Place {
    owner: String,
    ends: Moment,
}

struct Held {
    owner: String,
    holder: String,
    fence: u64,
    since: Moment,
}

/// What is known of a name after its lease has ended.
#[derive(Default)]
struct Last {
    fence: u64,
    released: Option<String>,
    broken: Option<Broken>,
}

/// A hold that was ended for its holder.
#[derive(Clone)]
struct Broken {
    owner: String,
    at: Moment,
    by: String,
    reason: String,
}

impl MemoryLocks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            names: Mutex::default(),
            turns: Arc::default(),
        }
    }
}

impl MemoryLocks {
    /// Ends a hold, notes how, and calls who comes next.
    fn end(&self, names: &mut Names, now: Moment, key: &StoreKey, note: impl FnOnce(Last) -> Last) {
        names.held.remove(now, key);
        let last = note(names.last.remove(now, key).unwrap_or_default());
        let kept_until = now.after(FENCE_KEPT);
        names.last.insert(now, key.clone(), last, kept_until);
        if let Some((next, _)) = names.first(now, key) {
            self.turns.call(key, &next);
        }
    }
}

#[async_trait]
impl LockStore for MemoryLocks {
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let first = names.first(now, key);
        let is_held = names.held.get(now, key).is_some();
        let before = names.queue_up(now, key, hold);
        let current = names.held.get(now, key);
        if let Some(other) = current
            && other.value.owner != hold.owner
        {
            return Ok(LockTry::Held {
                left: Some(other.expires_at().since(now)),
                holder: Some(other.value.holder.clone()),
                before,
            });
        }
        if let Some((owner, ends)) = first
            && !is_held
            && owner != hold.owner
        {
            self.turns.call(key, &owner);
            return Ok(LockTry::Held {
                left: Some(ends.since(now)),
                holder: None,
                before,
            });
        }
        names.leave(key, hold.owner);
        let current = names.held.get(now, key);
        let kept = current.map(|own| (own.value.fence, own.value.since));
        let last = names.last.remove(now, key);
        let (released, broken) = last.as_ref().map_or((None, None), |last| {
            (last.released.clone(), last.broken.clone())
        });
        let last = last.map(|last| last.fence);
        let (fence, since) = kept.unwrap_or_else(|| (next_number(last, self.clock.unix()), now));
        let lease = Held {
            owner: hold.owner.to_owned(),
            holder: hold.holder.to_owned(),
            fence,
            since,
        };
        let ends = now.after(hold.ttl.as_duration());
        names.held.insert(now, key.clone(), lease, ends);
        let last = Last {
            fence,
            released,
            broken,
        };
        names
            .last
            .insert(now, key.clone(), last, ends.after(FENCE_KEPT));
        Ok(LockTry::Acquired { fence })
    }

    async fn renew(&self, key: &StoreKey, owner: &str, ttl: Ttl) -> Result<Renewal> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let Some(fence) = names.fence_of(now, key, owner) else {
            return Ok(Renewal::NotHeld);
        };
        let ends = now.after(ttl.as_duration());
        names.held.expire_at(now, key, ends);
        names.last.expire_at(now, key, ends.after(FENCE_KEPT));
        Ok(Renewal::Renewed { fence })
    }

    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let Some(fence) = names.fence_of(now, key, owner) else {
            names.leave(key, owner);
            if names.held.get(now, key).is_none()
                && let Some((next, _)) = names.first(now, key)
            {
                self.turns.call(key, &next);
            }
            return Ok(names.answer_again(now, key, |last| last.released.as_deref() == Some(owner)));
        };
        let end = |last: Last| Last {
            fence,
            released: Some(owner.to_owned()),
            ..last
        };
        self.end(&mut names, now, key, end);
        Ok(LockRelease::Released)
    }

    async fn inspect(&self, key: &StoreKey) -> Result<LockView> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let _alive = names.first(now, key);
        let waiting = names.queues.get(key).map_or(0, VecDeque::len);
        let mut view = LockView {
            waiting: waiting.try_into().unwrap_or(u64::MAX),
            ..LockView::default()
        };
        if let Some(held) = names.held.get(now, key) {
            view.owner = Some(held.value.owner.clone());
            view.left = Some(held.expires_at().since(now));
            view.holder.clone_from(&held.value.holder);
            view.fence = Some(held.value.fence);
            view.held_for = Some(now.since(held.value.since));
        }
        let last = names.last.get(now, key);
        let broken = last.and_then(|last| last.value.broken.as_ref());
        view.broken = broken.map(|broken| {
            let ago = now.since(broken.at);
            (ago, broken.by.clone(), broken.reason.clone())
        });
        Ok(view)
    }

    async fn break_hold(&self, key: &StoreKey, order: &BreakOrder<'_>) -> Result<LockRelease> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let Some(fence) = names.fence_of(now, key, order.owner) else {
            return Ok(names.answer_again(now, key, |last| {
                let broken = last.broken.as_ref();
                broken.is_some_and(|broken| broken.owner == order.owner)
            }));
        };
        let end = |last: Last| Last {
            fence,
            broken: Some(Broken {
                owner: order.owner.to_owned(),
                at: now,
                by: order.by.to_owned(),
                reason: order.reason.to_owned(),
            }),
            ..last
        };
        self.end(&mut names, now, key, end);
        Ok(LockRelease::Released)
    }

    async fn wakeups(&self, key: &StoreKey, owner: &str) -> Result<Box<dyn Wakeups>> {
        Ok(Box::new(self.turns.wait(key, owner)))
    }

    fn wakeups_at_hand(&self, key: &StoreKey, owner: &str) -> Option<Box<dyn Wakeups>> {
        Some(Box::new(self.turns.wait(key, owner)))
    }
}

impl Names {
    fn fence_of(&mut self, now: Moment, key: &StoreKey, owner: &str) -> Option<u64> {
        let held = self.held.get(now, key)?;
        (held.value.owner == owner).then_some(held.value.fence)
    }

    /// What a call that ends nothing is answered: as before if it has ended that hold already.
    fn answer_again(
        &mut self,
        now: Moment,
        key: &StoreKey,
        was_it: impl FnOnce(&Last) -> bool,
    ) -> LockRelease {
        match self.last.get(now, key) {
            Some(last) if was_it(&last.value) => LockRelease::Released,
            Some(_) | None => LockRelease::NotHeld,
        }
    }

    /// Who has waited longest, and until when they have a place; drops who has none any more.
    fn first(&mut self, now: Moment, key: &StoreKey) -> Option<(String, Moment)> {
        let queue = self.queues.get_mut(key)?;
        queue.retain(|place| now < place.ends);
        let first = queue.front().map(|first| (first.owner.clone(), first.ends));
        if first.is_none() {
            self.queues.remove(key);
        }
        first
    }

    /// Takes or keeps a place, if one is wanted; how many come before.
    fn queue_up(&mut self, now: Moment, key: &StoreKey, hold: &Hold<'_>) -> Option<u64> {
        let ends = now.after(hold.place?.as_duration());
        let queue = self.queues.entry(key.clone()).or_default();
        let own = queue.iter().position(|place| place.owner == hold.owner);
        let index = own.unwrap_or(queue.len());
        if let Some(place) = queue.get_mut(index) {
            place.ends = ends;
        } else {
            let owner = hold.owner.to_owned();
            queue.push_back(Place { owner, ends });
        }
        u64::try_from(index).ok()
    }

    fn leave(&mut self, key: &StoreKey, owner: &str) {
        if let Some(queue) = self.queues.get_mut(key) {
            queue.retain(|place| place.owner != owner);
            if queue.is_empty() {
                self.queues.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::key::{Keyspace, Name};

    #[tokio::test]
    async fn a_place_ends_unless_it_is_kept_and_leaves_nothing() {
        let clock = ManualClock::new();
        let locks = MemoryLocks::new(Arc::new(clock.clone()));
        let key = Keyspace::default().lock(&Name::new("report").unwrap());
        let second = Ttl::new(Duration::from_secs(1)).unwrap();
        let hold = |owner: &'static str, place: Option<Ttl>| Hold {
            owner,
            ttl: Ttl::new(Duration::from_mins(1)).unwrap(),
            holder: "here",
            place,
        };
        let ask = async |owner, place| locks.acquire(&key, &hold(owner, place)).await.unwrap();
        ask("a", None).await;
        for (owner, wanted) in [("b", 0), ("c", 1), ("b", 0)] {
            let LockTry::Held { before, .. } = ask(owner, Some(second)).await else {
                panic!("a holds it");
            };
            assert_eq!(before, Some(wanted));
        }
        locks.release(&key, "a").await.unwrap();
        for (owner, place, wanted) in [("d", None, None), ("c", Some(second), Some(1))] {
            let LockTry::Held { holder, before, .. } = ask(owner, place).await else {
                panic!("it is b's turn");
            };
            assert_eq!((holder, before), (None, wanted));
        }
        clock.advance(Duration::from_millis(500));
        ask("c", Some(second)).await;
        clock.advance(Duration::from_millis(500));
        // b has not asked again.
        assert!(matches!(
            ask("c", Some(second)).await,
            LockTry::Acquired { .. }
        ));
        assert!(lock(&locks.names).queues.is_empty());
    }
}
