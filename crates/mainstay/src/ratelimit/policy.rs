//! What a limit is called and how much it admits.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::backend::{Calendar, Concurrent, Exact, Fixed, Gcra, Rule, Unit, Window};
use crate::error::{Error, Result};
use crate::key::Name;

/// A named limit: how much is admitted in what time, by which algorithm.
///
/// | | admits at most |
/// |---|---|
/// | [`window`](Self::window) | the limit in *any* interval of the period; times are rounded up to a sixtieth of it |
/// | [`exact`](Self::exact) | the limit in *any* interval of the period, to the microsecond; for small limits |
/// | [`gcra`](Self::gcra) | `burst + limit · t / period` in any time `t`, evenly |
/// | [`fixed`](Self::fixed) | the limit in each window of the calendar, so up to twice that around the end of one |
/// | [`concurrent`](Self::concurrent) | the limit at a time |
///
/// As text: `name=limit/period`, then the algorithm if it is not `window`, with its options:
///
/// ```
/// use std::time::Duration;
/// use mainstay::ratelimit::{Policy, Unit};
///
/// for (text, policy) in [
///     ("api=100/1m", Policy::window("api", 100, Duration::from_mins(1))?),
///     ("login=5/1m:exact", Policy::exact("login", 5, Duration::from_mins(1))?),
///     ("read=100/1s:gcra,burst=20", Policy::gcra("read", 100, Duration::from_secs(1), 20)?),
///     ("mail=500/day:fixed,zone=Europe/Berlin", Policy::fixed("mail", 500, Unit::Day, "Europe/Berlin")?),
///     ("export=3/30s:concurrent", Policy::concurrent("export", 3, Duration::from_secs(30))?),
/// ] {
///     assert_eq!(text.parse::<Policy>()?, policy);
///     assert_eq!(policy.to_string().parse::<Policy>()?, policy);
/// }
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: Name,
    limit: u64,
    period: Duration,
    rule: Rule,
}

impl Policy {
    /// At most `limit` in any interval of length `period`.
    ///
    /// A sliding window log with its times rounded up: a unit is held for at most a sixtieth of the
    /// period longer than need be.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless the name is an ASCII [`Name`], `limit` from 1 to 2^53
    /// and `period` from 1 ms to 366 days.
    pub fn window(name: &str, limit: u64, period: Duration) -> Result<Self> {
        let rule = Rule::Window(Window::new(limit, period)?);
        Self::new(name, limit, period, rule)
    }

    /// At most `limit` in any interval of length `period`, and no unit is held longer than that. Each
    /// call is kept, so that a decision costs more the more of them there are.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless the name is an ASCII [`Name`], `limit` from 1 to
    /// 1,000 and `period` from 1 ms to 366 days.
    pub fn exact(name: &str, limit: u64, period: Duration) -> Result<Self> {
        let rule = Rule::Exact(Exact::new(limit, period)?);
        Self::new(name, limit, period, rule)
    }

    /// A bucket of `burst` units that is refilled evenly, `limit` units in each `period`: at most
    /// `burst + limit · t / period` in any time `t`.
    ///
    /// The generic cell rate algorithm (ITU-T I.371). The time of one unit is rounded up to whole
    /// nanoseconds, or to microseconds if an empty bucket takes more than 52 days to fill. A changed
    /// policy finds the time until the bucket is full as it was.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless the name is an ASCII [`Name`], `limit` and `burst`
    /// from 1 to 2^53, `period` from 1 ms to 366 days, the limit at most one unit a nanosecond, and an
    /// empty bucket full again within 142 years.
    pub fn gcra(name: &str, limit: u64, period: Duration, burst: u64) -> Result<Self> {
        let rule = Rule::Gcra(Gcra::new(limit, period, burst)?);
        Self::new(name, limit, period, rule)
    }

    /// At most `limit` in each window of the calendar of a time zone, named as in the IANA database.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless the name is an ASCII [`Name`], `limit` from 1 to 2^53
    /// and the zone known.
    pub fn fixed(name: &str, limit: u64, unit: Unit, zone: &str) -> Result<Self> {
        let rule = Rule::Fixed(Fixed::new(limit, Calendar::new(unit, zone)?)?);
        let period = Duration::from_secs(unit.longest_seconds());
        Self::new(name, limit, period, rule)
    }

    /// At most `limit` permits at a time, for [`Call::enter`](super::Call::enter). One that is
    /// not given back, because its process has died, ends after `lease`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless the name is an ASCII [`Name`], `limit` from 1 to
    /// 1,000 and `lease` from 100 ms to 24 hours.
    pub fn concurrent(name: &str, limit: u64, lease: Duration) -> Result<Self> {
        let rule = Rule::Concurrent(Concurrent::new(limit, lease)?);
        Self::new(name, limit, lease, rule)
    }

    /// The same algorithm under the same name with another limit: `period`, or of calendar windows `unit`,
    /// is that of the new limit. A bucket holds as much as its limit.
    ///
    /// # Errors
    /// As the constructor of the algorithm.
    pub fn with_limit(&self, limit: u64, period: Duration, unit: Unit) -> Result<Self> {
        let name = self.name.as_str();
        match &self.rule {
            Rule::Window(_) => Self::window(name, limit, period),
            Rule::Exact(_) => Self::exact(name, limit, period),
            Rule::Gcra(_) => Self::gcra(name, limit, period, limit),
            Rule::Fixed(rule) => Self::fixed(name, limit, unit, rule.calendar().zone()),
            Rule::Concurrent(_) => Self::concurrent(name, limit, period),
        }
    }

    fn new(name: &str, limit: u64, period: Duration, rule: Rule) -> Result<Self> {
        let name = Name::new(name)?;
        // It is told to clients as a String of RFC 9651.
        if let Some(wrong) = name.as_str().chars().find(|c| !c.is_ascii()) {
            return Err(Error::invalid(format!(
                "name of a policy holds {wrong:?}: ASCII letters, digits and . _ - / are allowed"
            )));
        }
        Ok(Self {
            name,
            limit,
            period,
            rule,
        })
    }

    /// The name, which is a part of the key: policies of one name share their counts.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The most that is admitted in a period, or at a time.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The most that one call can take: the burst of [`gcra`](Self::gcra), else the limit.
    pub fn capacity(&self) -> u64 {
        self.rule.limit()
    }

    /// The length of the interval; of a calendar the longest, of a permit its lease.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The time in which the whole [`capacity`](Self::capacity) comes back: of a bucket that of its
    /// burst, else the period.
    pub fn restored_within(&self) -> Duration {
        let Rule::Gcra(rule) = &self.rule else {
            return self.period;
        };
        let ticks = u128::from(rule.burst()) * u128::from(rule.interval_ticks());
        let micros = ticks.div_ceil(u128::from(rule.ticks_per_micro()));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The same for a time since 1970: of a calendar it is the window that holds it, not the longest.
    pub fn restored_within_at(&self, at: Duration) -> Duration {
        let Rule::Fixed(rule) = &self.rule else {
            return self.restored_within();
        };
        let window = rule.calendar().length_at(at.as_secs());
        window.map_or(self.period, Duration::from_secs)
    }

    /// Whether it gives permits.
    pub fn is_concurrent(&self) -> bool {
        matches!(self.rule, Rule::Concurrent(_))
    }

    /// The same in a period that is longer by `lease`, for units that are taken so much earlier than
    /// they are used.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) unless it is a [`window`](Self::window), and in the range.
    pub(super) fn stretched(&self, lease: Duration) -> Result<Self> {
        if !matches!(self.rule, Rule::Window(_)) {
            return Err(Error::invalid(format!(
                "policy {self} cannot be prepaid: it is no sliding window"
            )));
        }
        let rule = Rule::Window(Window::new(self.limit, self.period.saturating_add(lease))?);
        Ok(Self {
            rule,
            ..self.clone()
        })
    }

    /// What each of so many processes may admit by itself.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when that is less than one unit, and for permits.
    pub(super) fn share(&self, nodes: NonZeroU32) -> Result<Self> {
        let name = self.name.as_str();
        let of = |units: u64| units / u64::from(nodes.get());
        let (limit, period) = (of(self.limit), self.period);
        if of(self.capacity()).min(limit) == 0 {
            return Err(Error::invalid(format!(
                "policy {self} cannot be shared by {nodes} nodes: it has less than a unit for each"
            )));
        }
        match &self.rule {
            Rule::Window(_) => Self::window(name, limit, period),
            Rule::Exact(_) => Self::exact(name, limit, period),
            Rule::Gcra(rule) => Self::gcra(name, limit, period, of(rule.burst())),
            Rule::Fixed(rule) => {
                let calendar = rule.calendar();
                Self::fixed(name, limit, calendar.unit(), calendar.zone())
            }
            Rule::Concurrent(_) => Err(Error::invalid(format!(
                "policy {self} gives permits, which only the store can"
            ))),
        }
    }

    pub(super) fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, limit) = (&self.name, self.limit);
        let period = humantime::format_duration(self.period).to_string();
        let period = period.replace(' ', "");
        match &self.rule {
            Rule::Window(_) => write!(f, "{name}={limit}/{period}"),
            Rule::Exact(_) => write!(f, "{name}={limit}/{period}:exact"),
            Rule::Gcra(rule) => write!(f, "{name}={limit}/{period}:gcra,burst={}", rule.burst()),
            Rule::Concurrent(_) => write!(f, "{name}={limit}/{period}:concurrent"),
            Rule::Fixed(rule) => {
                let calendar = rule.calendar();
                let (unit, zone) = (calendar.unit(), calendar.zone());
                write!(f, "{name}={limit}/{unit}:fixed,zone={zone}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beyond_ascii_is_refused_as_text_as_well() {
        let expected = "name of a policy holds 'ü': ASCII letters, digits and . _ - / are allowed";
        let built = Policy::window("grüße", 1, Duration::from_secs(1)).unwrap_err();
        assert_eq!(built.kind(), crate::ErrorKind::Invalid);
        assert_eq!(built.to_string(), expected);
        let read = "grüße=1/1s:exact".parse::<Policy>().unwrap_err();
        assert_eq!(read.to_string(), expected);
    }

    #[test]
    fn the_window_of_a_calendar_is_the_one_that_a_time_is_in() {
        let at = |text: &str| {
            let second = text.parse::<jiff::Timestamp>().unwrap().as_second();
            Duration::from_secs(second.try_into().unwrap())
        };
        for (text, time, hours) in [
            ("mail=5/day:fixed", "2026-03-29T12:00:00Z", 24),
            (
                "mail=5/day:fixed,zone=Europe/Berlin",
                "2026-03-29T12:00:00Z",
                23,
            ),
            (
                "mail=5/day:fixed,zone=Europe/Berlin",
                "2026-10-25T12:00:00Z",
                25,
            ),
            ("mail=5/month:fixed", "2026-02-03T00:00:00Z", 28 * 24),
            ("mail=5/year:fixed", "2026-02-03T00:00:00Z", 365 * 24),
            ("mail=5/2h", "2026-02-03T00:00:00Z", 2),
            ("mail=5/1h:gcra,burst=15", "2026-02-03T00:00:00Z", 3),
        ] {
            let policy = text.parse::<Policy>().unwrap();
            let window = policy.restored_within_at(at(time));
            assert_eq!(window, Duration::from_hours(hours), "{text} at {time}");
        }
        // Beyond the calendar: the longest that a day can be.
        let policy = "mail=5/day:fixed".parse::<Policy>().unwrap();
        let year_10000 = Duration::from_secs(253_402_300_800);
        assert_eq!(
            policy.restored_within_at(year_10000),
            policy.restored_within()
        );
    }
}
