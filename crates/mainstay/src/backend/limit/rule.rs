//! What is admitted: one kind of rule an algorithm.

use std::time::Duration;

use super::calendar::Calendar;
use crate::error::{Error, Result};

/// The largest limit and the largest cost: scripts count exactly up to 2^53.
pub const LIMIT_MAX: u64 = 1 << 53;

const PERIOD_MIN: Duration = Duration::from_millis(1);
const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// How much is admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// At most so much in any interval; times are rounded up to a sixtieth of it.
    Window(Window),
    /// A bucket that refills evenly.
    Gcra(Gcra),
    /// At most so much in each window of the calendar.
    Fixed(Fixed),
    /// At most so much in any interval; for small limits.
    Exact(Exact),
    /// At most so much at a time.
    Concurrent(Concurrent),
}

impl Rule {
    /// The most that one call can take.
    pub fn limit(&self) -> u64 {
        match self {
            Self::Window(rule) => rule.limit,
            Self::Gcra(rule) => rule.burst,
            Self::Fixed(rule) => rule.limit,
            Self::Exact(rule) => rule.limit,
            Self::Concurrent(rule) => rule.limit,
        }
    }
}

/// At most `limit` in *any* interval `(t - period, t]` of the store's clock.
///
/// Time is cut into [`Window::BUCKETS`] buckets a period, and a bucket counts until all of it has left
/// the interval: the price is that a unit is held for at most `period / BUCKETS` longer than need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    limit: u64,
    bucket_micros: u64,
}

impl Window {
    /// Buckets that one period is cut into.
    pub const BUCKETS: u64 = 60;

    /// Checks a limit.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless `limit` is from 1 to [`LIMIT_MAX`] and `period`
    /// from 1 ms to 366 days.
    pub fn new(limit: u64, period: Duration) -> Result<Self> {
        Ok(Self {
            limit: checked_limit(limit, LIMIT_MAX)?,
            bucket_micros: checked_period(period)?.div_ceil(Self::BUCKETS),
        })
    }

    /// The limit.
    pub fn limit(self) -> u64 {
        self.limit
    }

    /// Length of one bucket.
    pub fn bucket_micros(self) -> u64 {
        self.bucket_micros
    }
}

/// The generic cell rate algorithm (ITU-T I.371): at most `burst + t / interval` in any time `t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gcra {
    burst: u64,
    interval_ticks: u64,
    ticks_per_micro: u64,
}

impl Gcra {
    /// So many ticks fit in a bucket: sums of two stay exact in a script.
    const TICKS_MAX: u128 = 1 << 52;

    /// Checks a rate. The time in which one unit comes back is rounded up to whole nanoseconds, or to
    /// microseconds if a bucket takes more than 52 days to fill.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless `limit` is from 1 to [`LIMIT_MAX`], `period`
    /// from 1 ms to 366 days, at most one unit comes a nanosecond, and an empty bucket is full again
    /// within 142 years.
    pub fn new(limit: u64, period: Duration, burst: u64) -> Result<Self> {
        checked_limit(limit, LIMIT_MAX)?;
        checked_period(period)?;
        if burst == 0 || burst > LIMIT_MAX {
            return Err(Error::invalid(format!(
                "burst of a limit must be from 1 to {LIMIT_MAX}"
            )));
        }
        if u128::from(limit) > period.as_nanos() {
            return Err(Error::invalid(
                "a gcra limit may be one unit a nanosecond at most",
            ));
        }
        for ticks_per_micro in [1_000, 1] {
            let period = period.as_nanos() * ticks_per_micro / 1_000;
            let interval = period.div_ceil(u128::from(limit));
            if interval * u128::from(burst) <= Self::TICKS_MAX {
                let fits = |ticks| u64::try_from(ticks).expect("invariant: at most 2^52");
                return Ok(Self {
                    burst,
                    interval_ticks: fits(interval),
                    ticks_per_micro: fits(ticks_per_micro),
                });
            }
        }
        Err(Error::invalid(
            "a burst must come back within 142 years: take a smaller one, or a larger limit",
        ))
    }

    /// What an idle bucket holds.
    pub fn burst(self) -> u64 {
        self.burst
    }

    /// Ticks in which one unit comes back.
    pub fn interval_ticks(self) -> u64 {
        self.interval_ticks
    }

    /// Ticks in a microsecond.
    pub fn ticks_per_micro(self) -> u64 {
        self.ticks_per_micro
    }
}

/// At most `limit` in each window of a calendar: so up to twice that around the end of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    limit: u64,
    calendar: Calendar,
}

impl Fixed {
    /// Checks a limit.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless `limit` is from 1 to [`LIMIT_MAX`].
    pub fn new(limit: u64, calendar: Calendar) -> Result<Self> {
        let limit = checked_limit(limit, LIMIT_MAX)?;
        Ok(Self { limit, calendar })
    }

    /// The limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The windows.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }
}

/// At most `limit` in *any* interval `(t - period, t]` of the store's clock, and nothing is held longer
/// than that. Each call is kept: for small limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exact {
    limit: u64,
    period_micros: u64,
}

impl Exact {
    /// The largest limit.
    pub const LIMIT_MAX: u64 = 1_000;

    /// Checks a limit.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless `limit` is from 1 to [`Exact::LIMIT_MAX`] and
    /// `period` from 1 ms to 366 days.
    pub fn new(limit: u64, period: Duration) -> Result<Self> {
        Ok(Self {
            limit: checked_limit(limit, Self::LIMIT_MAX)?,
            period_micros: checked_period(period)?,
        })
    }

    /// The limit.
    pub fn limit(self) -> u64 {
        self.limit
    }

    /// The length of the interval.
    pub fn period_micros(self) -> u64 {
        self.period_micros
    }
}

/// Permits for at most `limit` at a time, each until it is given back or its lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concurrent {
    limit: u64,
    lease_micros: u64,
}

impl Concurrent {
    /// The largest limit.
    pub const LIMIT_MAX: u64 = 1_000;

    const LEASE_MIN: Duration = Duration::from_millis(100);
    const LEASE_MAX: Duration = Duration::from_hours(24);

    /// Checks a limit.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless `limit` is from 1 to [`Concurrent::LIMIT_MAX`] and
    /// `lease` from 100 ms to 24 hours.
    pub fn new(limit: u64, lease: Duration) -> Result<Self> {
        if lease < Self::LEASE_MIN || lease > Self::LEASE_MAX {
            return Err(Error::invalid(
                "lease of a permit must be from 100 ms to 24 hours",
            ));
        }
        Ok(Self {
            limit: checked_limit(limit, Self::LIMIT_MAX)?,
            lease_micros: whole_micros(lease),
        })
    }

    /// The limit.
    pub fn limit(self) -> u64 {
        self.limit
    }

    /// How long a permit lasts.
    pub fn lease_micros(self) -> u64 {
        self.lease_micros
    }
}

fn checked_limit(limit: u64, max: u64) -> Result<u64> {
    if limit == 0 || limit > max {
        return Err(Error::invalid(format!(
            "limit is {limit}: it must be from 1 to {max}"
        )));
    }
    Ok(limit)
}

/// In microseconds.
fn checked_period(period: Duration) -> Result<u64> {
    if period < PERIOD_MIN || period > PERIOD_MAX {
        return Err(Error::invalid(
            "period of a limit must be between 1 ms and 366 days",
        ));
    }
    Ok(whole_micros(period))
}

/// Rounded up.
fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    #[test]
    fn a_unit_comes_back_in_whole_ticks_rounded_up() {
        let ticks = |limit, period, burst| {
            let gcra = Gcra::new(limit, period, burst).unwrap();
            (gcra.interval_ticks(), gcra.ticks_per_micro())
        };
        assert_eq!(ticks(3, Duration::from_secs(1), 3), (333_333_334, 1_000));
        assert_eq!(ticks(1_000_000_000, Duration::from_secs(1), 5), (1, 1_000));
        assert_eq!(ticks(7, YEAR, 7), (4_505_142_857_143, 1));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let message = |result: Result<Gcra>| result.unwrap_err().to_string();
        assert_eq!(
            message(Gcra::new(1_000_001, Duration::from_millis(1), 1)),
            "a gcra limit may be one unit a nanosecond at most"
        );
        assert_eq!(
            message(Gcra::new(1, YEAR, 1_000)),
            "a burst must come back within 142 years: take a smaller one, or a larger limit"
        );
        assert_eq!(
            message(Gcra::new(1, YEAR, 0)),
            "burst of a limit must be from 1 to 9007199254740992"
        );
        assert_eq!(
            Exact::new(1_001, YEAR).unwrap_err().to_string(),
            "limit is 1001: it must be from 1 to 1000"
        );
        assert!(Window::new(LIMIT_MAX, YEAR).is_ok());
        assert!(Window::new(LIMIT_MAX + 1, YEAR).is_err());
        assert!(Concurrent::new(3, Duration::from_millis(99)).is_err());
    }
}
