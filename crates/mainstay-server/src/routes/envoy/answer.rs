//! What was decided, as Envoy is told.

use std::time::Duration;

use axum::http::HeaderMap;
use mainstay::http::limit::headers;
use mainstay::ratelimit::{Decision, Policy, Quota, RetryAfter};
use mainstay_envoy::v3::rate_limit_response::rate_limit::Unit;
use mainstay_envoy::v3::rate_limit_response::{Code, DescriptorStatus, RateLimit};
use mainstay_envoy::v3::{HeaderValue, RateLimitResponse};

use super::ask::Asked;

/// The answer; without a decision no limit applies.
pub(super) fn response(asked: &Asked<'_>, decision: Option<&Decision>) -> RateLimitResponse {
    let is_allowed = decision.is_none_or(Decision::is_allowed);
    let statuses = asked.descriptors.iter().map(|demands| {
        let quotas = demands.iter().filter_map(|index| {
            let quota = decision?.quotas().get(*index)?;
            Some((quota, asked.demands.get(*index)?.policy()))
        });
        let tightest = quotas.max_by_key(|(quota, _)| quota.tightness());
        tightest.map_or_else(
            || DescriptorStatus {
                code: Code::Ok.into(),
                ..DescriptorStatus::default()
            },
            |(quota, policy)| status(quota, policy),
        )
    });
    RateLimitResponse {
        overall_code: code(is_allowed).into(),
        statuses: statuses.collect(),
        response_headers_to_add: decision.map_or_else(Vec::new, |it| told(asked, it)),
    }
}

fn code(is_allowed: bool) -> Code {
    if is_allowed {
        Code::Ok
    } else {
        Code::OverLimit
    }
}

fn status(quota: &Quota, policy: &Policy) -> DescriptorStatus {
    let until = match quota.retry_after {
        Some(RetryAfter::After(wait)) => wait,
        Some(RetryAfter::Never) | None => quota.reset_after,
    };
    DescriptorStatus {
        code: code(quota.retry_after.is_none()).into(),
        current_limit: Some(RateLimit {
            requests_per_unit: whole(policy.limit()),
            unit: unit(policy.period()).into(),
            name: policy.name().to_string(),
        }),
        limit_remaining: whole(quota.remaining),
        duration_until_reset: Some(seconds_up(until)),
    }
}

/// Not known where the period is none of theirs.
fn unit(period: Duration) -> Unit {
    match period.as_secs() {
        _ if period.subsec_nanos() > 0 => Unit::Unknown,
        1 => Unit::Second,
        60 => Unit::Minute,
        3_600 => Unit::Hour,
        86_400 => Unit::Day,
        604_800 => Unit::Week,
        _ => Unit::Unknown,
    }
}

fn whole(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whole seconds, as those who read it count: so that nothing is over before the number says so.
fn seconds_up(duration: Duration) -> pbjson_types::Duration {
    let seconds = crate::problem::seconds_up(duration);
    pbjson_types::Duration {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

/// The header fields of every answer about limits.
fn told(asked: &Asked<'_>, decision: &Decision) -> Vec<HeaderValue> {
    let policies = asked.demands.iter().map(|demand| demand.policy().clone());
    let policies: Vec<_> = policies.collect();
    let mut fields = HeaderMap::new();
    headers::set(&mut fields, &policies, decision, None);
    let text = |(name, value): (_, &axum::http::HeaderValue)| {
        let name: &axum::http::HeaderName = name;
        Some(HeaderValue {
            key: name.to_string(),
            value: value.to_str().ok()?.to_owned(),
        })
    };
    fields.iter().filter_map(text).collect()
}
