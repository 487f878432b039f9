//! The header fields that tell of limits.
//!
//! `RateLimit-Policy` and `RateLimit` follow draft-ietf-httpapi-ratelimit-headers: structured fields
//! (RFC 9651), lists of Strings with parameters. `q` is a quota, `w` its window in seconds, `r` what
//! remains and `t` the seconds until it is restored: to all of it, or, of a policy that denies, as far as
//! the same request fits. Larger numbers than such fields can hold are told as the largest, 10^15 - 1.

use std::cmp::Reverse;
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

/// Tells what is left in `RateLimit-Policy` and `RateLimit`, and `Retry-After` where waiting helps.
///
/// What another limit has told already stays: quotas are added to its own, and of two waits in seconds
/// the longer is told.
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
    add(headers, RATELIMIT_POLICY, policies.iter().map(policy));
    add(headers, RATELIMIT, decision.quotas().iter().map(left));
    if let Some(RetryAfter::After(wait)) = decision.retry_after() {
        let told = number(headers, &RETRY_AFTER).unwrap_or_default();
        headers.insert(RETRY_AFTER, seconds(wait).max(told).into());
    }
}

/// Sets the fields that many clients know from before: `X-RateLimit-Limit`, `-Remaining` and `-Reset`, in
/// seconds from now, of the tightest policy.
///
/// They have room for one: those that another limit has set stay if it has less left, or as much and a
/// later reset.
pub fn set_legacy(headers: &mut HeaderMap, decision: &Decision) {
    let quota = decision.tightest();
    let (remaining, reset) = (quota.remaining, seconds(restored_in(quota)));
    let told = [LEGACY_LIMIT, LEGACY_REMAINING, LEGACY_RESET].map(|name| number(headers, &name));
    if let [Some(_), Some(told_remaining), Some(told_reset)] = told
        && (told_remaining, Reverse(told_reset)) <= (remaining, Reverse(reset))
    {
        return;
    }
    headers.insert(LEGACY_LIMIT, quota.limit.into());
    headers.insert(LEGACY_REMAINING, remaining.into());
    headers.insert(LEGACY_RESET, reset.into());
}

fn restored_in(quota: &Quota) -> Duration {
    match quota.retry_after {
        Some(RetryAfter::After(wait)) => wait,
        Some(RetryAfter::Never) | None => quota.reset_after,
    }
}

/// Adds members to a list; in one line, since many clients read no other.
fn add(headers: &mut HeaderMap, name: HeaderName, members: impl Iterator<Item = String>) {
    let told = headers.get_all(&name).iter();
    let told = told.map(|line| line.as_bytes().to_vec());
    let list = told.chain(members.map(String::into_bytes));
    let list = list.reduce(|mut list, member| {
        list.extend_from_slice(b", ");
        list.extend(member);
        list
    });
    let value = HeaderValue::try_from(list.unwrap_or_default());
    headers.insert(name, value.expect("invariant: names are ASCII"));
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
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

    /// Tells what a limiter of this policy decides on the last of so many calls.
    async fn tell(fields: &mut HeaderMap, stay: &Mainstay, policy: &str, calls: u32) {
        let limiter = stay.limiter(policy.parse().unwrap());
        for _ in 1..calls {
            assert!(limiter.check("ada").await.unwrap().is_allowed());
        }
        let decision = limiter.check("ada").await.unwrap();
        set(fields, limiter.policies(), &decision, None);
        set_legacy(fields, &decision);
    }

    fn text<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
        let values = fields.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    fn legacy(fields: &HeaderMap) -> [&str; 3] {
        [LEGACY_LIMIT, LEGACY_REMAINING, LEGACY_RESET].map(|name| fields[name].to_str().unwrap())
    }

    #[tokio::test]
    async fn numbers_end_at_the_largest_that_a_structured_field_can_hold() {
        let (stay, mut fields) = (on_manual_clock().await, HeaderMap::new());
        tell(&mut fields, &stay, "all=9007199254740992/1m", 1).await;
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
        tell(&mut fields, &stay, "mail=5/day:fixed", 1).await;
        assert_eq!(text(&fields, &RATELIMIT_POLICY), ["\"mail\";q=5;w=86400"]);
        assert_eq!(text(&fields, &RATELIMIT), ["\"mail\";r=4;t=86400"]);
    }

    #[tokio::test]
    async fn quotas_are_added_to_those_that_are_told_already() {
        let (stay, mut fields) = (on_manual_clock().await, HeaderMap::new());
        tell(&mut fields, &stay, "inner=5/1h:exact", 1).await;
        tell(&mut fields, &stay, "outer=9/1m:exact", 2).await;
        assert_eq!(
            text(&fields, &RATELIMIT_POLICY),
            ["\"inner\";q=5;w=3600, \"outer\";q=9;w=60"]
        );
        assert_eq!(
            text(&fields, &RATELIMIT),
            ["\"inner\";r=4;t=3600, \"outer\";r=7;t=60"]
        );
    }

    #[tokio::test]
    async fn of_the_older_fields_those_of_the_tighter_policy_stay() {
        let stay = on_manual_clock().await;
        for (inner, outer, tighter) in [
            ("a=5/1h:exact", "b=9/1m:exact", ["5", "4", "3600"]),
            ("c=9/1m:exact", "d=5/1h:exact", ["5", "4", "3600"]),
            // As much is left: the longer wait.
            ("e=5/1m:exact", "f=5/1h:exact", ["5", "4", "3600"]),
            ("g=5/1h:exact", "h=5/1m:exact", ["5", "4", "3600"]),
        ] {
            let mut fields = HeaderMap::new();
            tell(&mut fields, &stay, inner, 1).await;
            tell(&mut fields, &stay, outer, 1).await;
            assert_eq!(legacy(&fields), tighter, "{inner} in {outer}");
        }
    }

    #[tokio::test]
    async fn older_fields_that_say_nothing_are_replaced() {
        let (stay, mut fields) = (on_manual_clock().await, HeaderMap::new());
        fields.insert(LEGACY_LIMIT, 5.into());
        fields.insert(LEGACY_REMAINING, HeaderValue::from_static("none"));
        tell(&mut fields, &stay, "a=5/1m:exact", 1).await;
        assert_eq!(legacy(&fields), ["5", "4", "60"]);
    }

    #[tokio::test]
    async fn the_longer_wait_stays() {
        let stay = on_manual_clock().await;
        for (first, second, wait) in [
            ("a=1/1h:exact", "b=1/1m:exact", "3600"),
            ("c=1/1m:exact", "d=1/1h:exact", "3600"),
        ] {
            let mut fields = HeaderMap::new();
            tell(&mut fields, &stay, first, 2).await;
            tell(&mut fields, &stay, second, 2).await;
            assert_eq!(text(&fields, &RETRY_AFTER), [wait], "{first}, {second}");
        }
    }
}
