//! Policies as text.

use std::str::FromStr;
use std::time::Duration;

use super::{Policy, Unit};
use crate::error::{Error, ErrorKind, Result};

const ALGORITHMS: &str = "allowed are window, exact, gcra, fixed and concurrent";

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::invalid(format!(
                "policy {text:?} is not of the form name=limit/period"
            ))
        };
        let (name, rest) = text.split_once('=').ok_or_else(malformed)?;
        let name = name.trim();
        let (quota, algorithm) = rest.split_once(':').unwrap_or((rest, "window"));
        let (limit, period) = quota.split_once('/').ok_or_else(malformed)?;
        let limit = number(name, "limit", limit)?;
        let period = period.trim();
        let mut words = algorithm.split(',').map(str::trim);
        let algorithm = words.next().unwrap_or_default();
        let mut options = Options {
            policy: name,
            algorithm,
            left: words.collect(),
        };
        let policy = match algorithm {
            "window" => Self::window(name, limit, duration(name, period)?),
            "exact" => Self::exact(name, limit, duration(name, period)?),
            "gcra" => {
                let burst = options.take("burst");
                let burst = burst.map(|text| number(name, "burst", text)).transpose()?;
                Self::gcra(name, limit, duration(name, period)?, burst.unwrap_or(limit))
            }
            "fixed" => {
                let zone = options.take("zone").unwrap_or("UTC");
                let unit = period.parse::<Unit>().map_err(|error| {
                    Error::invalid(format!("period of policy {name:?}: {error}"))
                })?;
                Self::fixed(name, limit, unit, zone)
            }
            "concurrent" => Self::concurrent(name, limit, duration(name, period)?),
            other => Err(Error::invalid(format!(
                "policy {name:?} has the unknown algorithm {other:?}: {ALGORITHMS}"
            ))),
        }?;
        options.end()?;
        Ok(policy)
    }
}

/// What follows the algorithm.
struct Options<'a> {
    policy: &'a str,
    algorithm: &'a str,
    left: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let is_it = |word: &&str| {
            word.split_once('=')
                .is_some_and(|(key, _)| key.trim() == name)
        };
        let index = self.left.iter().position(is_it)?;
        let (_, value) = self.left.remove(index).split_once('=')?;
        Some(value.trim())
    }

    fn end(self) -> Result<()> {
        let Some(unknown) = self.left.first() else {
            return Ok(());
        };
        let allowed = match self.algorithm {
            "gcra" => "allowed is burst=UNITS",
            "fixed" => "allowed is zone=NAME",
            _ => "it has none",
        };
        let (policy, algorithm) = (self.policy, self.algorithm);
        Err(Error::invalid(format!(
            "policy {policy:?} has the unknown option {unknown:?} of {algorithm}: {allowed}"
        )))
    }
}

fn number(policy: &str, what: &str, text: &str) -> Result<u64> {
    text.trim().parse().map_err(|source| {
        let message = format!("{what} of policy {policy:?} is not a whole number");
        Error::with_source(ErrorKind::Invalid, message, source)
    })
}

/// A number and a unit, or a unit alone.
fn duration(policy: &str, text: &str) -> Result<Duration> {
    humantime::parse_duration(text).map_err(|source| {
        let message = format!("period of policy {policy:?} is not a duration such as 1m or 250ms");
        Error::with_source(ErrorKind::Invalid, message, source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_constructor_agree() -> Result<()> {
        let minute = Duration::from_mins(1);
        for (text, expected) in [
            ("api=100/1m", Policy::window("api", 100, minute)?),
            ("api=100/1m:window", Policy::window("api", 100, minute)?),
            ("api = 100 / 60s", Policy::window("api", 100, minute)?),
            ("api=9/1m:gcra", Policy::gcra("api", 9, minute, 9)?),
            (
                "api=9/1m:gcra, burst = 2",
                Policy::gcra("api", 9, minute, 2)?,
            ),
            (
                "api=9/month:fixed",
                Policy::fixed("api", 9, Unit::Month, "UTC")?,
            ),
            ("api=9/1m:exact", Policy::exact("api", 9, minute)?),
        ] {
            let policy: Policy = text.parse()?;
            assert_eq!(policy, expected, "{text}");
            assert_eq!(policy.to_string().parse::<Policy>()?, expected);
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
            (
                "api=0/1m",
                "limit is 0: it must be from 1 to 9007199254740992",
            ),
            (
                "api=1/0s",
                "period of a limit must be between 1 ms and 366 days",
            ),
            (
                "api=1/1m:leaky",
                "policy \"api\" has the unknown algorithm \"leaky\": allowed are window, exact, gcra, fixed and concurrent",
            ),
            (
                "api=1/1m:gcra,burst=x",
                "burst of policy \"api\" is not a whole number",
            ),
            (
                "api=1/1m:gcra,zone=UTC",
                "policy \"api\" has the unknown option \"zone=UTC\" of gcra: allowed is burst=UNITS",
            ),
            (
                "api=1/1m:exact,burst=1",
                "policy \"api\" has the unknown option \"burst=1\" of exact: it has none",
            ),
            (
                "api=1/1d:fixed",
                "period of policy \"api\": \"1d\" is no window of the calendar: allowed are second, minute, hour, day, week, month and year",
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
