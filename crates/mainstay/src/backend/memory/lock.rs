//! Locks in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::epoch::next_number;
use super::expiring::ExpiringMap;
use crate::backend::unpoisoned::lock;
use crate::backend::{Hold, LockRelease, LockStore, LockTry, Renewal, Wakeups};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// How long a name's last fence outlives its last lease.
const FENCE_KEPT: Duration = Duration::from_hours(7 * 24);

/// Leases end on the clock that never goes back: a step of the wall clock neither frees a held
/// name early nor keeps it longer. Only fences are taken from the wall clock.
pub(super) struct MemoryLocks {
    clock: Arc<dyn Clock>,
    names: Mutex<Names>,
    bells: Arc<Mutex<Bells>>,
}

#[derive(Default)]
struct Names {
    held: ExpiringMap<StoreKey, Held, Moment>,
    last: ExpiringMap<StoreKey, Last, Moment>,
}

struct Held {
    owner: String,
    holder: String,
    fence: u64,
}

/// What is known of a name after its lease has ended.
#[derive(Default)]
struct Last {
    fence: u64,
    released: Option<String>,
}

impl MemoryLocks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            names: Mutex::default(),
            bells: Arc::default(),
        }
    }
}

#[async_trait]
impl LockStore for MemoryLocks {
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry> {
        let mut names = lock(&self.names);
        let now = self.clock.now();
        let current = names.held.get(now, key);
        if let Some(other) = current
            && other.value.owner != hold.owner
        {
            return Ok(LockTry::Held {
                left: Some(other.expires_at().since(now)),
                holder: other.value.holder.clone(),
            });
        }
        let kept = current.map(|own| own.value.fence);
        let (last, released) = names
            .last
            .remove(now, key)
            .map_or((None, None), |last| (Some(last.fence), last.released));
        let fence = kept.unwrap_or_else(|| next_number(last, self.clock.unix()));
        let lease = Held {
            owner: hold.owner.to_owned(),
            holder: hold.holder.to_owned(),
            fence,
        };
        let ends = now.after(hold.ttl.as_duration());
        names.held.insert(now, key.clone(), lease, ends);
        let last = Last { fence, released };
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
            let last = names.last.get(now, key);
            let again = last.is_some_and(|last| last.value.released.as_deref() == Some(owner));
            return Ok(if again {
                LockRelease::Released
            } else {
                LockRelease::NotHeld
            });
        };
        names.held.remove(now, key);
        let last = Last {
            fence,
            released: Some(owner.to_owned()),
        };
        names
            .last
            .insert(now, key.clone(), last, now.after(FENCE_KEPT));
        drop(names);
        if let Some(bell) = lock(&self.bells).get(key) {
            bell.rung.send_replace(());
        }
        Ok(LockRelease::Released)
    }

    async fn wakeups(&self, key: &StoreKey) -> Result<Box<dyn Wakeups>> {
        let mut bells = lock(&self.bells);
        let bell = bells.entry(key.clone()).or_default();
        bell.listeners += 1;
        Ok(Box::new(Listener {
            rung: bell.rung.subscribe(),
            key: key.clone(),
            bells: Arc::clone(&self.bells),
        }))
    }
}

impl Names {
    fn fence_of(&mut self, now: Moment, key: &StoreKey, owner: &str) -> Option<u64> {
        let held = self.held.get(now, key)?;
        (held.value.owner == owner).then_some(held.value.fence)
    }
}

/// Whom to wake when a name is released; a name that nobody waits for has no bell.
type Bells = HashMap<StoreKey, Bell>;

#[derive(Debug, Default)]
struct Bell {
    rung: watch::Sender<()>,
    listeners: usize,
}

#[derive(Debug)]
struct Listener {
    rung: watch::Receiver<()>,
    key: StoreKey,
    bells: Arc<Mutex<Bells>>,
}

#[async_trait]
impl Wakeups for Listener {
    async fn next(&mut self) {
        let changed = self.rung.changed().await;
        changed.expect("invariant: a bell stays while it has listeners");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut bells = lock(&self.bells);
        if let Some(bell) = bells.get_mut(&self.key) {
            bell.listeners -= 1;
            if bell.listeners == 0 {
                bells.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::clock::ManualClock;
    use crate::key::{Keyspace, Name};

    #[tokio::test]
    async fn a_release_is_heard_by_all_and_leaves_nothing_when_they_are_gone() {
        let locks = MemoryLocks::new(Arc::new(ManualClock::new()));
        let key = Keyspace::default().lock(&Name::new("report").unwrap());
        let hold = Hold {
            owner: "a",
            ttl: Ttl::new(Duration::from_secs(1)).unwrap(),
            holder: "here",
        };
        locks.acquire(&key, &hold).await.unwrap();
        let mut first = locks.wakeups(&key).await.unwrap();
        let mut second = locks.wakeups(&key).await.unwrap();
        assert_eq!(first.next().now_or_never(), None);
        locks.release(&key, "a").await.unwrap();
        assert_eq!(first.next().now_or_never(), Some(()));
        assert_eq!(second.next().now_or_never(), Some(()));
        assert_eq!(second.next().now_or_never(), None);
        drop(first);
        assert_eq!(lock(&locks.bells).len(), 1);
        drop(second);
        assert_eq!(lock(&locks.bells).len(), 0);
    }
}
