//! What is counted about a cache, in the process, for metrics, and over all processes.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, SharedString};

use super::spread::{Padded, Spread};

/// Declares the counters once: variant, field, metric and its labels.
macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident $field:ident $metric:literal $(, $label:literal = $value:literal)?;)+) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Count {
            $($variant),+
        }

        impl Count {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];

            fn handles(cache: &SharedString) -> Vec<Counter> {
                vec![$(metrics::counter!($metric, "cache" => cache.clone() $(, $label => $value)?)),+]
            }
        }

        /// What a cache has done since it was built, in this process.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct CacheStats {
            $($(#[$doc])* pub $field: u64,)+
            /// Entries in the near cache.
            pub near_entries: u64,
            /// What they take, in bytes.
            pub near_bytes: u64,
        }

        impl Counters {
            pub(super) fn stats(&self) -> CacheStats {
                CacheStats {
                    $($field: self.sum(Count::$variant),)+
                    ..CacheStats::default()
                }
            }
        }
    };
}

counters! {
    /// Values from the process.
    NearHit near_hits "mainstay_cache_hits_total", "tier" = "near";
    /// Values from the store.
    RemoteHit remote_hits "mainstay_cache_hits_total", "tier" = "remote";
    /// Looks that found nothing usable.
    Miss misses "mainstay_cache_misses_total";
    /// Loaders that were run.
    Load loads "mainstay_cache_loads_total";
    /// Loaders that failed, panicked or took too long.
    LoadFailed load_failures "mainstay_cache_load_failures_total";
    /// Waits for a load of another process.
    Wait waits "mainstay_cache_waits_total";
    /// Values that were served past their ttl.
    StaleServed stale_served "mainstay_cache_stale_served_total";
    /// Loads ahead of expiry.
    EarlyRefresh early_refreshes "mainstay_cache_early_refreshes_total";
    /// Loaded values that were not stored, as something changed meanwhile.
    Superseded superseded "mainstay_cache_superseded_total";
    /// Loaded values that could not be stored.
    NotStored not_stored "mainstay_cache_not_stored_total";
    /// Stored bytes that were no value of this cache.
    Undecodable undecodable "mainstay_cache_undecodable_total";
    /// Keys, tags and clears that were invalidated.
    Invalidated invalidations "mainstay_cache_invalidations_total";
    /// Near hits that were compared with the store.
    Checked checked "mainstay_cache_checked_total";
    /// Near hits that were older than they may be.
    Incoherent incoherent "mainstay_cache_incoherent_total";
}

/// The counters of one cache.
pub(super) struct Counters {
    near_hits: Spread,
    sums: Vec<Padded>,
    handles: Vec<Counter>,
    /// What the store has been told of.
    reported: Vec<AtomicU64>,
}

impl Counters {
    pub(super) fn new(cache: &SharedString) -> Self {
        let handles = Count::handles(cache);
        Self {
            near_hits: Spread::new(),
            sums: handles.iter().map(|_| Padded::default()).collect(),
            reported: handles.iter().map(|_| AtomicU64::new(0)).collect(),
            handles,
        }
    }

    #[inline]
    pub(super) fn add(&self, count: Count) {
        let index = count as usize;
        self.tell(index);
        if let Some(sum) = self.sums.get(index) {
            sum.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a near hit; a number that rises by one with each of this thread's.
    #[inline]
    pub(super) fn add_near_hit(&self) -> u64 {
        self.tell(Count::NearHit as usize);
        self.near_hits.add()
    }

    #[inline]
    fn tell(&self, index: usize) {
        if let Some(handle) = self.handles.get(index) {
            handle.increment(1);
        }
    }

    fn sum(&self, count: Count) -> u64 {
        if count == Count::NearHit {
            return self.near_hits.sum();
        }
        let sum = self.sums.get(count as usize);
        sum.map_or(0, |sum| sum.0.load(Ordering::Relaxed))
    }

    /// What has been added since the last time.
    pub(super) fn unreported(&self) -> Vec<(&'static str, u64)> {
        let counts = Count::ALL.iter().zip(&self.reported).zip(Count::NAMES);
        counts
            .filter_map(|((count, reported), name)| {
                let now = self.sum(*count);
                let added = now.saturating_sub(reported.fetch_max(now, Ordering::Relaxed));
                (added > 0).then_some((*name, added))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_summed_and_reported_once() {
        let counters = Counters::new(&"c".into());
        assert_eq!(counters.add_near_hit(), 0);
        assert_eq!(counters.add_near_hit(), 1);
        counters.add(Count::Incoherent);
        let stats = counters.stats();
        assert_eq!((stats.near_hits, stats.incoherent, stats.loads), (2, 1, 0));
        assert_eq!(counters.unreported(), [("near_hits", 2), ("incoherent", 1)]);
        assert!(counters.unreported().is_empty());
    }
}
