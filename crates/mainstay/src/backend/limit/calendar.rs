//! Windows of the calendar in a time zone.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::error::{Error, ErrorKind, Result};

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// From one full second to the next.
    Second,
    /// From one full minute to the next.
    Minute,
    /// From one full hour to the next, as clocks there show it.
    Hour,
    /// From one start of a day to the next: 23 or 25 hours when clocks are changed.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month to that of the next.
    Month,
    /// From the first of January to the next.
    Year,
}

impl Unit {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Second, "second"),
        (Self::Minute, "minute"),
        (Self::Hour, "hour"),
        (Self::Day, "day"),
        (Self::Week, "week"),
        (Self::Month, "month"),
        (Self::Year, "year"),
    ];

    /// The longest that a window of this kind lasts, in seconds.
    pub fn longest_seconds(self) -> u64 {
        const DAY: u64 = 24 * 3_600;
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            // An hour for clocks that are put back.
            Self::Day => DAY + 3_600,
            Self::Week => 7 * DAY + 3_600,
            Self::Month => 31 * DAY + 3_600,
            Self::Year => 366 * DAY,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(unit, _)| unit == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Unit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.iter().find(|(_, name)| *name == text);
        named.map(|(unit, _)| *unit).ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no window of the calendar: allowed are second, minute, hour, day, week, month and year"
            ))
        })
    }
}

/// Cuts time into windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    unit: Unit,
    zone: TimeZone,
}

impl Calendar {
    /// Windows in a time zone, named as in the IANA database: `UTC`, `Europe/Berlin`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a zone that is not known.
    pub fn new(unit: Unit, zone: &str) -> Result<Self> {
        let zone = TimeZone::get(zone).map_err(|source| {
            let message = format!(
                "{zone:?} is no time zone of the IANA database, such as UTC or Europe/Berlin"
            );
            Error::with_source(ErrorKind::Invalid, message, source)
        })?;
        Ok(Self { unit, zone })
    }

    /// How long the windows are.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The name of the time zone.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The window that holds a time, and where the next one ends: `[a, b)` and `[b, c)`, in seconds since
    /// 1970.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a time after the year 9990.
    pub fn windows(&self, second: u64) -> Result<[u64; 3]> {
        let (start, end) = self.window(second)?;
        Ok([start, end, self.window(end)?.1])
    }

    /// How long the window is that holds a time, in seconds.
    pub(crate) fn length_at(&self, second: u64) -> Result<u64> {
        let (start, end) = self.window(second)?;
        Ok(end - start)
    }

    fn window(&self, second: u64) -> Result<(u64, u64)> {
        let bounds = || {
            let at = Timestamp::from_second(i64::try_from(second).unwrap_or(i64::MAX))?;
            self.bounds(&at.to_zoned_datetime(self.zone.clone()))
        };
        let (start, end) = bounds().map_err(|source| {
            let message = format!("second {second} since 1970 is beyond the calendar");
            Error::with_source(ErrorKind::Invalid, message, source)
        })?;
        Ok((start, end.max(second + 1)))
    }

    fn bounds(&self, at: &ZonedDateTime) -> Result<(u64, u64), jiff::Error> {
        let day = at.start_of_day()?;
        let (start, length) = match self.unit {
            Unit::Second => return Ok(seconds_from(at, 0, 1)),
            Unit::Minute => return Ok(seconds_from(at, i64::from(at.second()), 60)),
            Unit::Hour => {
                let passed = i64::from(at.minute()) * 60 + i64::from(at.second());
                return Ok(seconds_from(at, passed, 3_600));
            }
            Unit::Day => (day, 1.day()),
            Unit::Week => {
                let passed = i64::from(at.weekday().to_monday_zero_offset());
                (day.checked_sub(passed.days())?, 1.week())
            }
            Unit::Month => (at.first_of_month()?.start_of_day()?, 1.month()),
            Unit::Year => (at.first_of_year()?.start_of_day()?, 1.year()),
        };
        // Where a day begins an hour late, the next one need not.
        let end = start
            .date()
            .checked_add(length)?
            .to_zoned_datetime(self.zone.clone())?;
        Ok((whole(&start), whole(&end)))
    }
}

/// A window that began so many seconds ago.
fn seconds_from(at: &ZonedDateTime, passed: i64, length: u64) -> (u64, u64) {
    let start = at.timestamp().as_second() - passed;
    let start = u64::try_from(start).unwrap_or(0);
    (start, start + length)
}

fn whole(at: &ZonedDateTime) -> u64 {
    u64::try_from(at.timestamp().as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(unit: Unit, zone: &str, at: &str) -> (String, String) {
        let second = at.parse::<Timestamp>().unwrap().as_second();
        let calendar = Calendar::new(unit, zone).unwrap();
        let [start, end, next] = calendar.windows(second.try_into().unwrap()).unwrap();
        assert!(start < end && end < next);
        let text = |second: u64| {
            Timestamp::from_second(second.try_into().unwrap())
                .unwrap()
                .to_string()
        };
        (text(start), text(end))
    }

    #[test]
    fn windows_follow_the_calendar_of_a_zone() {
        for (unit, zone, at, start, end) in [
            (
                Unit::Second,
                "UTC",
                "2026-02-03T04:05:06Z",
                "2026-02-03T04:05:06Z",
                "2026-02-03T04:05:07Z",
            ),
            (
                Unit::Minute,
                "UTC",
                "2026-02-03T04:05:06Z",
                "2026-02-03T04:05:00Z",
                "2026-02-03T04:06:00Z",
            ),
            (
                Unit::Hour,
                "Asia/Kolkata",
                "2026-02-03T04:05:06Z",
                "2026-02-03T03:30:00Z",
                "2026-02-03T04:30:00Z",
            ),
            (
                Unit::Day,
                "America/New_York",
                "2026-02-03T04:05:06Z",
                "2026-02-02T05:00:00Z",
                "2026-02-03T05:00:00Z",
            ),
            // 23 and 25 hours.
            (
                Unit::Day,
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                Unit::Day,
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            // Clocks go forward at midnight: the day begins at one.
            (
                Unit::Day,
                "Africa/Cairo",
                "2026-04-24T12:00:00Z",
                "2026-04-23T22:00:00Z",
                "2026-04-24T21:00:00Z",
            ),
            (
                Unit::Week,
                "UTC",
                "2026-02-01T12:00:00Z",
                "2026-01-26T00:00:00Z",
                "2026-02-02T00:00:00Z",
            ),
            (
                Unit::Month,
                "UTC",
                "2028-02-29T12:00:00Z",
                "2028-02-01T00:00:00Z",
                "2028-03-01T00:00:00Z",
            ),
            (
                Unit::Year,
                "UTC",
                "2026-12-31T23:59:59Z",
                "2026-01-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
        ] {
            let expected = (start.to_owned(), end.to_owned());
            assert_eq!(window(unit, zone, at), expected, "{unit} in {zone} at {at}");
        }
    }

    #[test]
    fn what_is_no_calendar_is_named() {
        let zone = Calendar::new(Unit::Day, "Europe/Atlantis").unwrap_err();
        assert_eq!(
            zone.to_string(),
            "\"Europe/Atlantis\" is no time zone of the IANA database, such as UTC or Europe/Berlin"
        );
        assert!("fortnight".parse::<Unit>().is_err());
        assert_eq!("week".parse::<Unit>().unwrap().to_string(), "week");
    }
}
