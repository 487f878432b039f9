//! The rules, as their definitions say.

use super::Charge;

/// Buckets in a period of a window.
const BUCKETS: u64 = 60;

const SECOND: u64 = 1_000_000;

/// When and how charges are looked at.
pub(super) struct Seen {
    pub(super) now: u64,
    /// When the last charge was made.
    pub(super) newest: Option<u64>,
    pub(super) written_by: LimitRule,
    pub(super) written_at: u64,
}

/// A charge at one instant.
pub(super) struct View {
    /// Whether the clock has stepped back behind it.
    pub(super) moved: bool,
    /// None if it counts no more.
    pub(super) counts: Option<Charge>,
}

impl View {
    fn gone() -> Self {
        Self {
            moved: false,
            counts: None,
        }
    }
}

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

    /// When a charge has left that this rule writes.
    pub(super) fn leaves(self, charge: &Charge, now: u64) -> u64 {
        match self {
            Self::Window { period, .. } => {
                let width = Self::bucket(period);
                (charge.at / width + BUCKETS + 1) * width
            }
            Self::Exact { period, .. } => charge.at + period,
            Self::Fixed { period, .. } => (now / period + 1) * period,
            Self::Concurrent { .. } => charge.leaves.min(now + charge.lasts),
            Self::Gcra { .. } => unreachable!("a bucket has no charges"),
        }
    }

    /// The rule by which a log is written that has only been moved.
    pub(super) fn no_longer_than(self, before: Self) -> Self {
        match (self, before) {
            (Self::Exact { limit, period }, Self::Exact { period: old, .. }) => Self::Exact {
                limit,
                period: period.min(old),
            },
            _ => self,
        }
    }

    /// A charge as this rule sees it, whichever has written it.
    pub(super) fn view(self, charge: &Charge, seen: &Seen) -> View {
        let now = seen.now;
        // As which it leaves, if that is not as which it counts.
        let mut uncapped = 0;
        let (at, moved) = match (self, seen.written_by) {
            (Self::Window { .. }, Self::Window { period: old, .. }) => {
                let old = Self::bucket(old);
                let newest = seen.newest.map_or(0, |newest| newest / old * old);
                if charge.leaves <= now.max(newest) {
                    return View::gone();
                }
                if newest > now {
                    (now, true)
                } else if old == Self::bucket(self.period()) {
                    (charge.at, false)
                } else {
                    let last = (charge.at / old + 1) * old - 1;
                    uncapped = last;
                    (last.min(now), false)
                }
            }
            (Self::Exact { period, .. }, Self::Exact { period: old, .. }) => {
                if charge.at + period.min(old) <= now {
                    return View::gone();
                }
                (charge.at.min(now), charge.at > now)
            }
            (Self::Fixed { period, .. }, _) => {
                let moved = now / SECOND < seen.written_at / SECOND;
                if !moved && seen.written_at < now / period * period {
                    return View::gone();
                }
                (charge.at, moved)
            }
            _ => {
                if charge.leaves <= now {
                    return View::gone();
                }
                (charge.at, charge.leaves > now + charge.lasts)
            }
        };
        let mut counts = Charge { at, ..*charge };
        let own = self.leaves(
            &Charge {
                at: at.max(uncapped),
                ..*charge
            },
            now,
        );
        counts.leaves = match (self, seen.written_by) {
            _ if moved && !matches!(self, Self::Exact { .. }) => own,
            (Self::Exact { period, .. }, Self::Exact { period: old, .. }) => at + period.min(old),
            _ => own.min(charge.leaves),
        };
        View {
            moved,
            counts: (counts.leaves > now).then_some(counts),
        }
    }

    fn period(self) -> u64 {
        match self {
            Self::Window { period, .. }
            | Self::Exact { period, .. }
            | Self::Fixed { period, .. }
            | Self::Gcra { period, .. } => period,
            Self::Concurrent { lease, .. } => lease,
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
