//! What a limit is called and how much it admits.

use std::str::FromStr;
use std::time::Duration;

use crate::backend::Window;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Name;

/// A named limit: so much in any interval of a length.
///
/// As text: `name=limit/period`, with an algorithm if one likes to name it: `:window`, at present
/// the only one.
///
/// ```
/// use std::time::Duration;
/// use mainstay::ratelimit::Policy;
///
/// let policy: Policy = "api=100/1m".parse()?;
/// assert_eq!(policy, Policy::window("api", 100, Duration::from_mins(1))?);
/// assert!("api=100/1m:fixed".parse::<Policy>().is_err());
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: Name,
    period: Duration,
    window: Window,
}

impl Policy {
    /// At most `limit` in any interval of length `period`.
    ///
    /// A unit is held for at most a sixtieth of the period longer than need be.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) unless the name is a [`Name`], `limit` at least 1 and
    /// `period` between 1 ms and 366 days.
    pub fn window(name: &str, limit: u32, period: Duration) -> Result<Self> {
        Ok(Self {
            name: Name::new(name)?,
            period,
            window: Window::new(limit, period)?,
        })
    }

    /// The name, which is a part of the key: policies of one name share their counts.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The most that is admitted in a period.
    pub fn limit(&self) -> u32 {
        self.window.limit()
    }

    /// The length of the interval.
    pub fn period(&self) -> Duration {
        self.period
    }

    pub(super) fn bounds(&self) -> Window {
        self.window
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::invalid(format!(
                "policy {text:?} is not of the form name=limit/period"
            ))
        };
        let (name, rest) = text.split_once('=').ok_or_else(malformed)?;
        let (quota, algorithm) = rest.split_once(':').unwrap_or((rest, "window"));
        if algorithm != "window" {
            return Err(Error::invalid(format!(
                "policy {name:?} has the unknown algorithm {algorithm:?}: allowed is window"
            )));
        }
        let (limit, period) = quota.split_once('/').ok_or_else(malformed)?;
        let limit = limit.trim().parse().map_err(|source| {
            let message = format!("limit of policy {name:?} is not a whole number");
            Error::with_source(ErrorKind::Invalid, message, source)
        })?;
        let period = humantime::parse_duration(period.trim()).map_err(|source| {
            let message =
                format!("period of policy {name:?} is not a duration such as 1m or 250ms");
            Error::with_source(ErrorKind::Invalid, message, source)
        })?;
        Self::window(name.trim(), limit, period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_constructor_agree() -> Result<()> {
        let expected = Policy::window("api", 100, Duration::from_mins(1))?;
        for text in ["api=100/1m", "api=100/1m:window", "api = 100 / 60s"] {
            assert_eq!(text.parse::<Policy>()?, expected, "{text}");
        }
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_policy_is_named() {
        for (text, expected) in [
            ("api", "policy \"api\" is not of the form name=limit/period"),
            (
                "api=100",
                "policy \"api=100\" is not of the form name=limit/period",
            ),
            ("api=x/1m", "limit of policy \"api\" is not a whole number"),
            ("api=-1/1m", "limit of policy \"api\" is not a whole number"),
            (
                "api=1/m",
                "period of policy \"api\" is not a duration such as 1m or 250ms",
            ),
            ("api=0/1m", "limit is 0: it must be at least 1"),
            (
                "api=1/0s",
                "period of a limit must be between 1 ms and 366 days",
            ),
            (
                "api=1/1m:gcra",
                "policy \"api\" has the unknown algorithm \"gcra\": allowed is window",
            ),
            (
                "a{=1/1m",
                "name holds '{': letters, digits and . _ - / are allowed",
            ),
        ] {
            assert_eq!(text.parse::<Policy>().unwrap_err().to_string(), expected);
        }
    }
}
