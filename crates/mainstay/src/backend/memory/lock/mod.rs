//! Locks in memory.

mod name;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use self::name::{Broken, Held, Name};
use super::epoch::next_number;
use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{
    BreakOrder, Hold, LockLease, LockRelease, LockStore, LockTry, LockView, Renewal, ScanFrom,
    ScanPart, Turns, Wakeups,
};
use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;

/// How long what is known of a name outlives its last use.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Leases end on the clock that never goes back: a step of the wall clock neither frees a held
/// name early nor keeps it longer. Only fences are taken from the wall clock.
pub(super) struct MemoryLocks {
    clock: Arc<dyn Clock>,
    names: Mutex<Names>,
    turns: Arc<Turns>,
}

#[derive(Default)]
struct Names(ExpiringMap<StoreKey, Name, Moment>);

impl MemoryLocks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            names: Mutex::default(),
            turns: Arc::default(),
        }
    }

    fn call_next(&self, key: &StoreKey, name: &Name) {
        if let Some(first) = name.first() {
            self.turns.call(key, &first.owner);
        }
    }
}

#[async_trait]
impl LockStore for MemoryLocks {
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let ends = now.after(hold.ttl.as_duration());
        let name = names.get_or_add(now, key, ends);
        let (units, of) = (hold.claim.units.get(), hold.claim.of.get());
        if let Some(own) = name.held_by(hold.owner) {
            own.ends = ends;
            return Ok(LockTry::Acquired { fence: own.fence });
        }
        let first = name.first().cloned();
        let is_next = first.as_ref().is_none_or(|it| it.owner == hold.owner);
        let taken = name.units().saturating_add(units);
        if !is_next || taken > of {
            let before = name.queue_up(now, hold);
            let (left, holder) = match (name.first_to_end(), first) {
                (Some(other), _) => (other.ends, Some(other.holder.clone())),
                (None, Some(first)) => {
                    self.turns.call(key, &first.owner);
                    (first.ends, None)
                }
                // More is wanted than there is.
                (None, None) => (ends, None),
            };
            return Ok(LockTry::Held {
                left: Some(left.since(now)),
                holder,
                before,
            });
        }
        name.leave(hold.owner);
        let fence = next_number(name.fence, self.clock.unix());
        name.fence = Some(fence);
        name.holders.push(Held {
            owner: hold.owner.to_owned(),
            units,
            holder: hold.holder.to_owned(),
            fence,
            since: now,
            ends,
        });
        if taken < of {
            self.call_next(key, name);
        }
        Ok(LockTry::Acquired { fence })
    }

    async fn renew(&self, leases: &[LockLease<'_>]) -> Vec<Result<Renewal>> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let renewed = leases.iter().map(|lease| {
            let ends = now.after(lease.ttl.as_duration());
            let held = names.get(now, lease.key)?.held_by(lease.owner)?;
            held.ends = ends;
            let fence = held.fence;
            names.keep(now, lease.key, ends);
            Some(Renewal::Renewed { fence })
        });
        renewed
            .map(|renewed| Ok(renewed.unwrap_or(Renewal::NotHeld)))
            .collect()
    }

    async fn replicate(&self, _: &LockLease<'_>, _: u32) -> Result<Option<u64>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the memory backend has no replicas: leave out `replicas`, or use Redis",
        ))
    }

    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let Some(name) = names.get(now, key) else {
            return Ok(LockRelease::NotHeld);
        };
        name.leave(owner);
        if name.end(owner) {
            name.remember_release(owner);
        }
        self.call_next(key, name);
        Ok(if name.was_released_by(owner) {
            LockRelease::Released
        } else {
            LockRelease::NotHeld
        })
    }

    async fn scan(&self, prefix: &StoreKey, _: ScanFrom) -> Result<ScanPart> {
        let names = lock(&self.names);
        let names = names.0.keys();
        let names = names.filter_map(|key| key.as_str().strip_prefix(prefix.as_str()));
        Ok(ScanPart {
            names: names.map(str::to_owned).collect(),
            next: None,
        })
    }

    async fn inspect(&self, key: &StoreKey) -> Result<LockView> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let view = names.get(now, key).map(|name| name.view(now));
        Ok(view.unwrap_or_default())
    }

    async fn break_hold(&self, key: &StoreKey, order: &BreakOrder<'_>) -> Result<LockRelease> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let Some(name) = names.get(now, key) else {
            return Ok(LockRelease::NotHeld);
        };
        if name.end(order.owner) {
            name.broken = Some(Broken {
                owner: order.owner.to_owned(),
                at: now,
                by: order.by.to_owned(),
                reason: order.reason.to_owned(),
            });
            self.call_next(key, name);
        }
        let broken = name.broken.as_ref();
        Ok(match broken {
            Some(broken) if broken.owner == order.owner => LockRelease::Released,
            Some(_) | None => LockRelease::NotHeld,
        })
    }

    async fn wakeups(&self, key: &StoreKey, owner: &str) -> Result<Box<dyn Wakeups>> {
        Ok(Box::new(self.turns.wait(key, owner)))
    }

    fn wakeups_at_hand(&self, key: &StoreKey, owner: &str) -> Option<Box<dyn Wakeups>> {
        Some(Box::new(self.turns.wait(key, owner)))
    }
}

impl Names {
    /// A name that is known, without what has ended.
    fn get(&mut self, now: Moment, key: &StoreKey) -> Option<&mut Name> {
        let name = &mut self.0.get_mut(now, key)?.value;
        name.drop_ended(now);
        Some(name)
    }

    /// The same for one that may be new, kept beyond `ends`.
    fn get_or_add(&mut self, now: Moment, key: &StoreKey, ends: Moment) -> &mut Name {
        if !self.keep(now, key, ends) {
            let name = Name::default();
            self.0.insert(now, key.clone(), name, ends.after(KEPT));
        }
        self.get(now, key).expect("invariant: it was put there")
    }

    fn keep(&mut self, now: Moment, key: &StoreKey, ends: Moment) -> bool {
        self.0.expire_at(now, key, ends.after(KEPT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Claim;
    use crate::clock::ManualClock;
    use crate::key::{Keyspace, Name};
    use crate::ttl::Ttl;

    #[tokio::test]
    async fn a_place_ends_unless_it_is_kept_and_leaves_nothing() {
        let clock = ManualClock::new();
        let locks = MemoryLocks::new(Arc::new(clock.clone()));
        let key = Keyspace::default().lock(&Name::new("report").unwrap());
        let second = Ttl::new(Duration::from_secs(1)).unwrap();
        let hold = |owner: &'static str, place: Option<Ttl>| Hold {
            claim: Claim::WHOLE,
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
        assert_eq!(locks.inspect(&key).await.unwrap().waiting, 0);
    }
}
