//! The rules, as their definitions say.

use super::Charge;

/// Buckets in a period of a window.
const BUCKETS: u64 = 60;

/// A policy, with times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitRule {
    /// A sliding window.
    Window {
        /// Of any interval.
        limit: u64,
        /// Its length.
        period: u64,
    },
    /// A log.
    Exact {
        /// Of any interval.
        limit: u64,
        /// Its length.
        period: u64,
    },
    /// Windows that begin at multiples of their length.
    Fixed {
        /// Of a window.
        limit: u64,
        /// Its length.
        period: u64,
    },
    /// Permits.
    Concurrent {
        /// At a time.
        limit: u64,
        /// How long one lasts.
        lease: u64,
    },
    /// A bucket.
    Gcra {
        /// Units in a period.
        limit: u64,
        /// The length of it.
        period: u64,
        /// What it holds.
        burst: u64,
    },
}

impl LimitRule {
    /// The most that fits.
    pub fn limit(self) -> u64 {
        match self {
            Self::Window { limit, .. }
            | Self::Exact { limit, .. }
            | Self::Fixed { limit, .. }
            | Self::Concurrent { limit, .. } => limit,
            Self::Gcra { burst, .. } => burst,
        }
    }

    pub(super) fn is_concurrent(self) -> bool {
        matches!(self, Self::Concurrent { .. })
    }

    fn bucket(period: u64) -> u64 {
        period.div_ceil(BUCKETS)
    }

    /// How long a permit lasts.
    pub(super) fn lasts(self) -> u64 {
        match self {
            Self::Concurrent { lease, .. } => lease,
            _ => 0,
        }
    }

    /// When a charge has left.
    pub(super) fn leaves(self, charge: &Charge, now: u64, everything: bool) -> u64 {
        let at = self.seen_as_of(charge.at, now, everything);
        match self {
            Self::Window { period, .. } => {
                let width = Self::bucket(period);
                (at / width + BUCKETS + 1) * width
            }
            Self::Exact { period, .. } => at + period,
            Self::Fixed { period, .. } => (now / period + 1) * period,
            Self::Concurrent { .. } => charge.leaves.min(now + charge.lasts),
            Self::Gcra { .. } => unreachable!("a bucket has no charges"),
        }
    }

    /// When a charge is taken to have been made.
    pub(super) fn seen_as_of(self, at: u64, now: u64, everything: bool) -> u64 {
        match self {
            Self::Window { .. } if everything => now,
            Self::Exact { .. } => at.min(now),
            _ => at,
        }
    }

    /// Whether a charge must be written anew.
    pub(super) fn moves(self, charge: &Charge, before: Self, now: u64) -> bool {
        match self {
            Self::Window { .. } => false,
            Self::Exact { period, .. } => {
                let changed = !matches!(before, Self::Exact { period: old, .. } if old == period);
                charge.at > now || changed
            }
            Self::Fixed { period, .. } => charge.leaves != (now / period + 1) * period,
            Self::Concurrent { .. } => charge.leaves > now + charge.lasts,
            Self::Gcra { .. } => unreachable!("a bucket has no charges"),
        }
    }

    /// Whether all charges count as of now: the clock is behind the newest bucket, or buckets have
    /// another width.
    pub(super) fn moves_everything(self, before: Self, now: u64, newest: Option<u64>) -> bool {
        let (Self::Window { period, .. }, Self::Window { period: old, .. }) = (self, before) else {
            return false;
        };
        let (width, old) = (Self::bucket(period), Self::bucket(old));
        width != old || newest.is_some_and(|newest| newest / width > now / width)
    }

    /// The time from which it is told what has left: of a window not before its newest bucket.
    pub(super) fn seen_at(self, now: u64, newest: Option<u64>) -> u64 {
        match self {
            Self::Window { period, .. } => {
                let width = Self::bucket(period);
                let newest = newest.map_or(0, |newest| newest / width * width);
                now.max(newest)
            }
            _ => now,
        }
    }

    /// Whether a charge is what a refund means.
    pub(super) fn is_refunded(self, at: u64, id: u32, of: u64, of_id: u32, now: u64) -> bool {
        match self {
            Self::Window { period, .. } => {
                let width = Self::bucket(period);
                at / width == of / width
            }
            Self::Exact { .. } => at == of,
            Self::Fixed { period, .. } => of >= now / period * period,
            Self::Concurrent { .. } => id == of_id,
            Self::Gcra { .. } => unreachable!("a bucket has no charges"),
        }
    }
}
