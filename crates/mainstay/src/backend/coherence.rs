//! How near caches hear of changes in a store, and when they may trust what they hold.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use super::debts::AllDebts;
use crate::clock::{Moment, nanos};

/// One ordered stream of changes: a tracking connection to a node, or the process's own memory.
///
/// # Behaviour
/// - A change reaches the watchers before any later reply of the same stream.
/// - The epoch rises when changes may have been missed, before anything else is done about it.
/// - `confirmed` is a moment up to which the stream is known to be complete: the store had
///   processed everything before it, and the watchers have seen it.
#[derive(Debug)]
pub struct Lane {
    epoch: AtomicU64,
    /// Nanoseconds of a [`Moment`]; the largest number for a stream that cannot lag.
    confirmed: AtomicU64,
}

impl Lane {
    /// A stream that has not been confirmed yet.
    #[cfg(feature = "redis")]
    pub(crate) fn unconfirmed() -> Arc<Self> {
        Arc::new(Self {
            epoch: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
        })
    }

    /// A stream inside the process: it misses nothing and never lags.
    pub(crate) fn immediate() -> Arc<Self> {
        Arc::new(Self {
            epoch: AtomicU64::new(0),
            confirmed: AtomicU64::new(u64::MAX),
        })
    }

    /// Whatever was read on this stream before may have changed unseen.
    #[cfg(feature = "redis")]
    pub(crate) fn interrupt(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// The stream is complete up to `moment`.
    #[cfg(feature = "redis")]
    pub(crate) fn confirm(&self, moment: Moment) {
        self.confirmed
            .fetch_max(moment.as_nanos(), Ordering::SeqCst);
    }

    /// What a read that is sent from now on belongs to.
    pub(crate) fn mark(self: &Arc<Self>) -> Mark {
        Mark {
            epoch: self.epoch.load(Ordering::SeqCst),
            lane: Arc::clone(self),
        }
    }
}

/// Where and when something was read: the part of a stream that tells of its changes.
#[derive(Debug, Clone)]
pub struct Mark {
    lane: Arc<Lane>,
    epoch: u64,
}

impl Mark {
    /// Whether every change up to `max_staleness` before `now` has been heard of since the read.
    #[inline]
    pub(crate) fn holds(&self, now: Moment, max_staleness: Duration) -> bool {
        let confirmed = self.lane.confirmed.load(Ordering::Acquire);
        self.lane.epoch.load(Ordering::Acquire) == self.epoch
            && now.as_nanos().saturating_sub(confirmed) <= nanos(max_staleness)
    }

    /// Whether both are of the same stretch of the same stream.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.epoch == other.epoch && Arc::ptr_eq(&self.lane, &other.lane)
    }
}

/// Hears of changes under one prefix.
///
/// Called by whoever reads the stream, in its order: implementations must not block.
pub trait Watcher: Send + Sync {
    /// The entry under a complete key has changed, or may have.
    fn changed(&self, key: &str);

    /// Any entry may have changed.
    fn flushed(&self);

    /// This process begins to change the key: until [`unfence`](Self::unfence) nothing that is
    /// read may be kept.
    fn fence(&self, key: &str);

    /// The change of this process has ended, however it did.
    fn unfence(&self, key: &str);
}

/// A prefix, and who watches the keys that start with it.
type Registered = (Box<str>, Weak<dyn Watcher>);

/// Everybody in this process who watches a store, and what they have not been able to tell it.
#[derive(Default)]
pub struct Watchers {
    by_prefix: RwLock<Vec<Registered>>,
    pub(crate) debts: AllDebts,
}

impl Watchers {
    /// Tells `watcher` about the keys that start with `prefix` for as long as it lives.
    pub(crate) fn register(&self, prefix: &str, watcher: Weak<dyn Watcher>) {
        let mut all = self
            .by_prefix
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, watcher)| watcher.strong_count() > 0);
        all.push((prefix.into(), watcher));
    }

    pub(crate) fn changed(&self, key: &str) {
        self.each(key, |watcher| watcher.changed(key));
    }

    #[cfg(feature = "redis")]
    pub(crate) fn flushed(&self) {
        // Every key starts with its own prefix: all are told.
        for watcher in self.matching(|_| true) {
            watcher.flushed();
        }
    }

    /// Fences the key until the guard is dropped.
    pub(crate) fn fence<'a>(&'a self, key: &'a str) -> Fence<'a> {
        self.each(key, |watcher| watcher.fence(key));
        Fence {
            watchers: self,
            key,
        }
    }

    fn each(&self, key: &str, tell: impl Fn(&dyn Watcher)) {
        for watcher in self.matching(|prefix| key.starts_with(prefix)) {
            tell(&*watcher);
        }
    }

    /// A copy: nobody is called under the lock.
    fn matching(&self, wanted: impl Fn(&str) -> bool) -> Vec<Arc<dyn Watcher>> {
        let all = self
            .by_prefix
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|(prefix, _)| wanted(prefix))
            .filter_map(|(_, watcher)| watcher.upgrade())
            .collect()
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}

/// A change of this process that is under way.
pub(crate) struct Fence<'a> {
    watchers: &'a Watchers,
    key: &'a str,
}

impl Drop for Fence<'_> {
    fn drop(&mut self) {
        self.watchers
            .each(self.key, |watcher| watcher.unfence(self.key));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::backend::unpoisoned::lock;

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Watcher for Log {
        fn changed(&self, key: &str) {
            lock(&self.0).push(format!("changed {key}"));
        }

        fn flushed(&self) {
            lock(&self.0).push("flushed".to_owned());
        }

        fn fence(&self, key: &str) {
            lock(&self.0).push(format!("fence {key}"));
        }

        fn unfence(&self, key: &str) {
            lock(&self.0).push(format!("unfence {key}"));
        }
    }

    #[test]
    fn a_watcher_hears_of_the_keys_under_its_prefix_while_it_lives() {
        let watchers = Watchers::default();
        let (ours, theirs) = (Arc::new(Log::default()), Arc::new(Log::default()));
        watchers.register("a:", Arc::downgrade(&ours) as _);
        watchers.register("b:", Arc::downgrade(&theirs) as _);
        watchers.changed("a:1");
        drop(watchers.fence("a:2"));
        watchers.changed("c:1");
        assert_eq!(*lock(&ours.0), ["changed a:1", "fence a:2", "unfence a:2"]);
        assert!(lock(&theirs.0).is_empty());
        drop(theirs);
        watchers.changed("b:1");
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_mark_holds_while_its_stretch_is_confirmed() {
        let second = Duration::from_secs(1);
        let start = Moment::default().after(second);
        let lane = Lane::unconfirmed();
        let mark = lane.mark();
        assert!(!mark.holds(start.after(second), second));
        lane.confirm(start);
        assert!(mark.holds(start.after(second), second));
        assert!(!mark.holds(start.after(second + Duration::from_nanos(1)), second));
        lane.interrupt();
        assert!(!mark.holds(start, second));
        assert!(lane.mark().holds(start, second));
    }

    #[test]
    fn a_stream_inside_the_process_never_lags() {
        let mark = Lane::immediate().mark();
        let late = Moment::default().after(Duration::from_secs(1 << 33));
        assert!(mark.holds(late, Duration::ZERO));
    }
}
