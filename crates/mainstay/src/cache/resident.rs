//! One entry that was read: its value, its times, and what vouches for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::envelope::{Header, Identity, Tagged};
use super::policy::Policy;
use super::table::Weigh;
use crate::backend::Mark;
use crate::clock::Moment;

/// A value and all that is needed to decide whether it may be served.
pub(super) struct Resident<T> {
    /// `None` in an entry that says that there is no value.
    pub(super) value: Option<T>,
    /// Tells it from any other under its key.
    pub(super) identity: Identity,
    pub(super) tags: Box<[Tagged]>,
    marks: Marks,
    /// The number of tag changes up to which its tags were found to be valid.
    tags_valid_at: AtomicU64,
    /// Its ttl was started anew, or is about to be.
    is_touched: AtomicBool,
    times: Times,
    bytes: usize,
}

/// Streams that tell of changes. One, on one node: a hit need not look for it elsewhere in memory.
enum Marks {
    None,
    One(Mark),
    Several(Box<[Mark]>),
}

impl Marks {
    fn new(mut marks: Vec<Mark>) -> Self {
        match (marks.pop(), marks.is_empty()) {
            (None, _) => Self::None,
            (Some(only), true) => Self::One(only),
            (Some(last), false) => {
                marks.push(last);
                Self::Several(marks.into())
            }
        }
    }
}

/// An entry's times, on the clock of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// When the read was sent.
    pub(super) read_at: Moment,
    /// How old the entry was then.
    pub(super) age_then: Duration,
    pub(super) fresh_until: Moment,
    /// From here on a caller may be the one who loads it anew.
    pub(super) refresh_from: Moment,
    pub(super) revalidate_until: Moment,
    pub(super) error_until: Moment,
    pub(super) expires_at: Moment,
    pub(super) load_time: Duration,
}

/// What an entry is good for at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Fresh,
    /// To be served while it is loaded anew.
    Revalidate,
    /// To be served if it cannot be loaded anew.
    IfError,
    Expired,
}

/// Load times before expiry at which a caller begins to draw lots.
const REFRESH_WINDOW: u32 = 8;

impl Times {
    /// The times of an entry of which `left` was left of all the time it is kept for.
    pub(super) fn new<T>(
        policy: &Policy<T>,
        header: &Header,
        read_at: Moment,
        left: Option<Duration>,
    ) -> Self {
        let left = left.map_or(header.kept, |left| left.min(header.kept));
        let age_then = header.kept.saturating_sub(left);
        let until =
            |since_stored: Duration| read_at.after(since_stored.saturating_sub(age_then).min(left));
        let fresh_for = if header.stale { age_then } else { header.ttl };
        let ahead = header.load_time.saturating_mul(REFRESH_WINDOW);
        Self {
            read_at,
            age_then,
            fresh_until: until(fresh_for),
            refresh_from: until(fresh_for.saturating_sub(ahead)),
            revalidate_until: until(fresh_for.saturating_add(policy.stale_while_revalidate)),
            error_until: until(fresh_for.saturating_add(policy.stale_if_error)),
            expires_at: read_at.after(left),
            load_time: header.load_time,
        }
    }

    pub(super) fn freshness(&self, now: Moment) -> Freshness {
        if now < self.fresh_until {
            Freshness::Fresh
        } else if now < self.revalidate_until {
            Freshness::Revalidate
        } else if now < self.error_until {
            Freshness::IfError
        } else {
            Freshness::Expired
        }
    }

    /// All the time that the entry is kept for.
    pub(super) fn kept(&self) -> Duration {
        self.age_then
            .saturating_add(self.expires_at.since(self.read_at))
    }

    pub(super) fn age(&self, now: Moment) -> Duration {
        self.age_then.saturating_add(now.since(self.read_at))
    }

    /// Whether this caller is to load the entry anew ahead of time.
    ///
    /// Probabilistic early expiration (`XFetch`; Vattani, Chierichetti and Lowenstein, "Optimal
    /// Probabilistic Cache Stampede Prevention", VLDB 2015), shifted by two load times so that a
    /// refresh that starts last still ends in time.
    #[inline]
    pub(super) fn is_due_early(&self, now: Moment) -> bool {
        now >= self.refresh_from && !self.load_time.is_zero() && {
            let lots = 2.0 + crate::random::exponential();
            let ahead = self.load_time.mul_f64(lots.min(f64::from(REFRESH_WINDOW)));
            now.after(ahead) >= self.fresh_until
        }
    }
}

impl<T> Resident<T> {
    pub(super) fn new(
        value: Option<T>,
        identity: Identity,
        tags: Box<[Tagged]>,
        times: Times,
        bytes: usize,
    ) -> Self {
        Self {
            value,
            identity,
            tags,
            marks: Marks::None,
            tags_valid_at: AtomicU64::new(0),
            is_touched: AtomicBool::new(false),
            times,
            bytes,
        }
    }

    /// Says what tells of changes, and at which number of tag changes the tags were valid.
    pub(super) fn vouched(self, marks: Vec<Mark>, tags_valid_at: u64) -> Self {
        Self {
            marks: Marks::new(marks),
            tags_valid_at: AtomicU64::new(tags_valid_at),
            ..self
        }
    }

    pub(super) fn times(&self) -> &Times {
        &self.times
    }

    /// Whether the caller is the one to start a sliding ttl anew: once, after a quarter of it.
    pub(super) fn is_due_for_touch(&self, now: Moment) -> bool {
        self.times.age(now) >= self.times.kept() / 4
            && !self.is_touched.swap(true, Ordering::SeqCst)
    }

    pub(super) fn is_watched(&self) -> bool {
        !matches!(self.marks, Marks::None)
    }

    /// Whether the entry was the store's current one at some time within the bound.
    #[inline]
    pub(super) fn is_coherent(&self, now: Moment, max_staleness: Duration) -> bool {
        match &self.marks {
            Marks::None => false,
            Marks::One(mark) => mark.holds(now, max_staleness),
            Marks::Several(marks) => marks.iter().all(|mark| mark.holds(now, max_staleness)),
        }
    }

    /// Whether no tag can have changed since they were found to be valid.
    #[inline]
    pub(super) fn has_valid_tags(&self, changes: u64) -> bool {
        self.tags_valid_at.load(Ordering::Acquire) == changes
    }

    pub(super) fn validate_tags(&self, changes: u64) {
        self.tags_valid_at.fetch_max(changes, Ordering::AcqRel);
    }
}

impl<T: Send + Sync + 'static> Weigh for std::sync::Arc<Resident<T>> {
    fn bytes(&self) -> usize {
        let tags: usize = self
            .tags
            .iter()
            .map(|t| t.tag.len() + size_of::<Tagged>())
            .sum();
        self.bytes + tags + size_of::<Resident<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn header() -> Header {
        Header {
            negative: false,
            stale: false,
            schema: 0,
            codec: 1,
            ttl: seconds(10),
            kept: seconds(40),
            load_time: Duration::from_millis(100),
            tags: Box::default(),
        }
    }

    fn policy() -> Policy<u8> {
        Policy {
            stale_while_revalidate: seconds(5),
            stale_if_error: seconds(30),
            ..Policy::default()
        }
    }

    #[test]
    fn an_entry_ages_from_fresh_to_expired() {
        let start = Moment::default();
        // Two of forty seconds had passed when it was read.
        let times = Times::new(&policy(), &header(), start, Some(seconds(38)));
        let at = |count| times.freshness(start.after(seconds(count)));
        assert_eq!(times.age(start.after(seconds(1))), seconds(3));
        assert_eq!(
            [at(7), at(8), at(12), at(13), at(37), at(38)],
            [
                Freshness::Fresh,
                Freshness::Revalidate,
                Freshness::Revalidate,
                Freshness::IfError,
                Freshness::IfError,
                Freshness::Expired
            ]
        );
    }

    #[test]
    fn an_entry_declared_stale_has_its_windows_from_then_on() {
        let start = Moment::default();
        let header = Header {
            stale: true,
            ..header()
        };
        let times = Times::new(&policy(), &header, start, Some(seconds(38)));
        let at = |count| times.freshness(start.after(seconds(count)));
        assert_eq!([at(0), at(4)], [Freshness::Revalidate; 2]);
        assert_eq!([at(5), at(29)], [Freshness::IfError; 2]);
    }

    #[test]
    fn what_is_left_in_the_store_ends_every_window() {
        let start = Moment::default();
        let header = Header {
            ttl: seconds(100),
            kept: seconds(100),
            ..header()
        };
        let times = Times::new(&policy(), &header, start, Some(Duration::from_millis(20)));
        assert_eq!(times.expires_at, start.after(Duration::from_millis(20)));
        assert_eq!(times.freshness(times.expires_at), Freshness::Expired);
    }

    #[test]
    fn a_refresh_is_due_for_certain_two_load_times_ahead_and_never_long_before() {
        let start = Moment::default();
        let times = Times::new(&policy(), &header(), start, Some(seconds(40)));
        let before = |milliseconds: u64| {
            start.after(seconds(10).saturating_sub(Duration::from_millis(milliseconds)))
        };
        for _ in 0..100 {
            assert!(times.is_due_early(before(200)));
            assert!(!times.is_due_early(before(801)));
        }
    }
}
