//! The header fields that tell of limits.
//!
//! `RateLimit-Policy` and `RateLimit` follow draft-ietf-httpapi-ratelimit-headers: structured fields
//! (RFC 9651), lists of Strings with parameters. `q` is a quota, `w` its window in seconds, `r` what
//! remains and `t` the seconds until it is restored: to all of it, or, of a policy that denies, as far as
//! the same request fits. Larger numbers than such fields can hold are told as the largest, 10^15 - 1.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::ratelimit::{Decision, Policy, Quota, RetryAfter};

/// What the policies are.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of them.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// An Integer has 15 digits (RFC 9651, section 3.3.1); limits go beyond.
const INTEGER_MAX: u64 = 999_999_999_999_999;

const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Sets `RateLimit-Policy` and `RateLimit`, and `Retry-After` where waiting helps.
///
/// With a partition key, which tells clients what shares a quota, each quota carries it as `pk`.
pub fn set(
    headers: &mut HeaderMap,
    policies: &[Policy],
    decision: &Decision,
    partition_key: Option<&str>,
) {
    let partition = partition_key.map(|key| format!(";pk=:{}:", STANDARD.encode(key)));
    let partition = partition.as_deref().unwrap_or_default();
    let policy = |policy: &Policy| {
        let (name, quota) = (policy.name(), integer(policy.capacity()));
        let window = seconds(policy.restored_within_at(decision.decided_at()));
        format!("\"{name}\";q={quota};w={window}{partition}")
    };
    let left = |quota: &Quota| {
        let (name, remaining) = (&quota.policy, integer(quota.remaining));
        format!(
            "\"{name}\";r={remaining};t={}{partition}",
            seconds(restored_in(quota))
        )
    };
    put(
        headers,
        RATELIMIT_POLICY,
        &list(policies.iter().map(policy)),
    );
    put(
        headers,
        RATELIMIT,
        &list(decision.quotas().iter().map(left)),
    );
    if let Some(RetryAfter::After(wait)) = decision.retry_after() {
        headers.insert(RETRY_AFTER, seconds(wait).into());
    }
}

/// Sets the fields that many clients know from before: `X-RateLimit-Limit`, `-Remaining` and `-Reset`, in
/// seconds from now, of the tightest policy.
pub fn set_legacy(headers: &mut HeaderMap, decision: &Decision) {
    let quota = decision.tightest();
    headers.insert(LEGACY_LIMIT, quota.limit.into());
    headers.insert(LEGACY_REMAINING, quota.remaining.into());
    headers.insert(LEGACY_RESET, seconds(restored_in(quota)).into());
}

fn restored_in(quota: &Quota) -> Duration {
    match quota.retry_after {
        Some(RetryAfter::After(wait)) => wait,
        Some(RetryAfter::Never) | None => quota.reset_after,
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::try_from(value).expect("invariant: names are ASCII");
    headers.insert(name, value);
}

fn integer(number: u64) -> u64 {
    number.min(INTEGER_MAX)
}

/// Whole seconds, rounded up: who comes back then is not early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::{Mainstay, Options};

    /// Its clock stands at the first of January.
    async fn on_manual_clock() -> Mainstay {
        let clock = Arc::new(ManualClock::new());
        Options::new()
            .clock(clock)
            .connect("memory:")
            .await
            .unwrap()
    }

    /// Adds what a limiter of this policy decides on the last of so many calls.
    async fn add(fields: &mut HeaderMap, stay: &Mainstay, policy: &str, calls: u32) {
        let limiter = stay.limiter(policy.parse().unwrap());
        for _ in 1..calls {
            assert!(limiter.check("ada").await.unwrap().is_allowed());
        }
        let decision = limiter.check("ada").await.unwrap();
        set(fields, limiter.policies(), &decision, None);
    }

    fn text<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
        let values = fields.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn numbers_end_at_the_largest_that_a_structured_field_can_hold() {
        let (stay, mut fields) = (on_manual_clock().await, HeaderMap::new());
        add(&mut fields, &stay, "all=9007199254740992/1m", 1).await;
        assert_eq!(
            text(&fields, &RATELIMIT_POLICY),
            ["\"all\";q=999999999999999;w=60"]
        );
        assert_eq!(
            text(&fields, &RATELIMIT),
            ["\"all\";r=999999999999999;t=61"]
        );
    }

    #[tokio::test]
    async fn the_window_of_a_calendar_is_the_current_one() {
        let (stay, mut fields) = (on_manual_clock().await, HeaderMap::new());
        add(&mut fields, &stay, "mail=5/day:fixed", 1).await;
        assert_eq!(text(&fields, &RATELIMIT_POLICY), ["\"mail\";q=5;w=86400"]);
        assert_eq!(text(&fields, &RATELIMIT), ["\"mail\";r=4;t=86400"]);
    }
}
