//! A time to live that is neither zero nor immortal.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::error::{Error, Result};

/// A time to live, in whole milliseconds, from 1 ms to 10 years.
///
/// Every key that mainstay writes has one.
///
/// ```
/// use std::time::Duration;
/// use mainstay::Ttl;
///
/// assert_eq!(Ttl::new(Duration::from_millis(1_500))?.as_millis(), 1_500);
/// assert!(Ttl::new(Duration::ZERO).is_err());
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(NonZeroU64);

impl Ttl {
    /// The longest: 10 years of 365 days.
    pub const MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

    /// Checks a duration; a part of a millisecond counts as a whole one, so nothing expires early.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for zero and for more than [`Ttl::MAX`].
    pub fn new(duration: Duration) -> Result<Self> {
        if duration > Self::MAX {
            return Err(Error::invalid("ttl is longer than 10 years"));
        }
        u64::try_from(duration.as_nanos().div_ceil(1_000_000))
            .ok()
            .and_then(NonZeroU64::new)
            .map(Self)
            .ok_or_else(|| Error::invalid("ttl is zero: it must be at least 1 ms"))
    }

    /// Whole milliseconds.
    pub fn as_millis(self) -> u64 {
        self.0.get()
    }

    /// The same as a [`Duration`].
    pub fn as_duration(self) -> Duration {
        Duration::from_millis(self.0.get())
    }
}

impl TryFrom<Duration> for Ttl {
    type Error = Error;

    fn try_from(duration: Duration) -> Result<Self> {
        Self::new(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_millisecond_rounds_up() {
        let ttl = Ttl::new(Duration::from_micros(1)).map(Ttl::as_millis);
        assert_eq!(ttl.ok(), Some(1));
    }

    #[test]
    fn more_than_ten_years_is_refused_by_name() {
        let error = Ttl::new(Ttl::MAX + Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.to_string(), "ttl is longer than 10 years");
    }
}
