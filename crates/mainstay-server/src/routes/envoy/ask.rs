//! What a request of Envoy's asks of the limits.

use std::borrow::Cow;
use std::time::Duration;

use mainstay::ratelimit::{Call, Decision, Limiter, Policy, Quota, Unit};
use mainstay::{Key, Mainstay};
use mainstay_envoy::v3::rate_limit_descriptor::RateLimitOverride;
use mainstay_envoy::v3::{RateLimitDescriptor, RateLimitRequest, RateLimitUnit};

use super::Refusal;
use crate::limits::{LimitTable, Match};

/// Descriptors of one request at most.
const MOST: usize = 64;

/// How often what is left of a limit is tried to be used up.
const REST_TRIED: usize = 4;

/// The policy of what Envoy limits by itself, and no rule does.
const OVERRIDE: &str = "override";

/// What is to be decided in one step.
pub(super) struct Asked<'a> {
    pub(super) demands: Vec<Demand<'a>>,
    /// Of each descriptor, the demands that decide on it.
    pub(super) descriptors: Vec<Vec<usize>>,
}

/// One policy for one subject.
pub(super) struct Demand<'a> {
    limiter: Cow<'a, Limiter>,
    subject: Key,
    hits: u64,
    takes_rest: bool,
}

impl Demand<'_> {
    pub(super) fn policy(&self) -> &Policy {
        let policy = self.limiter.policies().first();
        policy.expect("invariant: a limiter has a policy")
    }

    /// Uses up what is left of a limit that is exceeded, where that is wanted.
    async fn take_rest(&self, quota: &Quota) -> Result<(), mainstay::Error> {
        let mut left = quota.remaining;
        if !self.takes_rest || quota.retry_after.is_none() {
            return Ok(());
        }
        // Others may have been faster.
        for _ in 0..REST_TRIED {
            if left == 0 {
                break;
            }
            let taken = self.limiter.check_cost(&self.subject, left).await?;
            left = taken.remaining();
        }
        Ok(())
    }
}

impl<'a> Asked<'a> {
    pub(super) fn of(
        table: &'a LimitTable,
        stay: &Mainstay,
        request: &RateLimitRequest,
    ) -> Result<Self, Refusal> {
        let invalid = |why: String| Err(Refusal::Invalid(why));
        if request.domain.is_empty() {
            return invalid("the domain is empty".to_owned());
        }
        let count = request.descriptors.len();
        if !(1..=MOST).contains(&count) {
            return invalid(format!(
                "{count} descriptors were sent: it takes 1 to {MOST}"
            ));
        }
        let mut asked = Self {
            demands: Vec::new(),
            descriptors: Vec::with_capacity(count),
        };
        let hits = u64::from(request.hits_addend).max(1);
        for (index, descriptor) in request.descriptors.iter().enumerate() {
            if descriptor.entries.is_empty() {
                return invalid(format!("descriptor {index} has no entries"));
            }
            let matched = matching(table, stay, &request.domain, descriptor)?;
            let hits = descriptor.hits_addend.as_ref().map_or(hits, |it| it.value);
            asked.add(matched, hits);
        }
        Ok(asked)
    }

    /// Two descriptors of one policy and subject are charged together.
    fn add(&mut self, matched: Vec<Demand<'a>>, hits: u64) {
        let mut indices = Vec::with_capacity(matched.len());
        for mut demand in matched {
            let same = self.demands.iter().position(|it| {
                it.subject == demand.subject && it.policy().name() == demand.policy().name()
            });
            demand.hits = hits;
            if let Some((index, same)) =
                same.and_then(|index| Some((index, self.demands.get_mut(index)?)))
            {
                same.hits = same.hits.saturating_add(hits);
                indices.push(index);
            } else {
                indices.push(self.demands.len());
                self.demands.push(demand);
            }
        }
        self.descriptors.push(indices);
    }

    /// Nothing if no limit applies.
    ///
    /// No hits only look, whether one more would fit; together with others that are charged, these are
    /// charged only if so.
    pub(super) async fn decide(&self) -> Result<Option<Decision>, mainstay::Error> {
        let looks = |demand: &Demand<'_>| demand.hits == 0;
        if self.demands.iter().any(looks) {
            let Some(call) = self.call(|demand| demand.hits.max(1)) else {
                return Ok(None);
            };
            let seen = call.peek().await?;
            if !seen.is_allowed() || self.demands.iter().all(looks) {
                return Ok(Some(seen));
            }
        }
        let Some(call) = self.call(|demand| demand.hits) else {
            return Ok(None);
        };
        let decision = call.check().await?;
        if !decision.is_allowed() {
            for (demand, quota) in self.demands.iter().zip(decision.quotas()) {
                demand.take_rest(quota).await?;
            }
        }
        Ok(Some(decision))
    }

    fn call(&self, cost: impl Fn(&Demand<'_>) -> u64) -> Option<Call<'_>> {
        let calls = self.demands.iter().map(|demand| {
            let call = demand.limiter.call(&demand.subject);
            call.cost(cost(demand))
        });
        calls.reduce(Call::and)
    }
}

/// What decides on a descriptor.
fn matching<'a>(
    table: &'a LimitTable,
    stay: &Mainstay,
    domain: &str,
    descriptor: &RateLimitDescriptor,
) -> Result<Vec<Demand<'a>>, Refusal> {
    let entries = descriptor.entries.iter();
    let entries: Vec<_> = entries
        .map(|entry| (entry.key.as_str(), entry.value.as_str()))
        .collect();
    let matched = table.matching(domain, &entries);
    let outcome = if matched.is_some() { "matched" } else { "none" };
    metrics::counter!(crate::metrics::DESCRIPTORS, "rule" => outcome).increment(1);
    let (limiters, subject, takes_rest) = match (matched, descriptor.limit) {
        (None, None) => return Ok(Vec::new()),
        (None, Some(own)) => {
            let values = entries.iter().flat_map(|(key, value)| [*key, *value]);
            let values: Vec<_> = [domain].into_iter().chain(values).collect();
            let limiter = stay.limiter(overridden(None, own)?);
            let subject = crate::limits::subject(domain, &values);
            (vec![Cow::Owned(limiter)], subject, false)
        }
        (Some(matched), own) => {
            let Match {
                limiters,
                subject,
                takes_rest,
            } = matched;
            let limiters = match (limiters.as_slice(), own) {
                ([limiter], Some(own)) => {
                    let policy = overridden(limiter.policies().first(), own)?;
                    vec![Cow::Owned(stay.limiter(policy))]
                }
                ([_, _, ..], Some(_)) => {
                    return Err(Refusal::Invalid(AMBIGUOUS.to_owned()));
                }
                _ => limiters.into_iter().map(Cow::Borrowed).collect(),
            };
            (limiters, subject, takes_rest)
        }
    };
    let demands = limiters.into_iter().map(|limiter| Demand {
        limiter,
        subject: subject.clone(),
        hits: 0,
        takes_rest,
    });
    Ok(demands.collect())
}

const AMBIGUOUS: &str = "a descriptor has a limit of its own, and the rule that fits it several: which \
    one it is for is not known";

/// A policy of the same name and algorithm, with the limit that was sent.
fn overridden(policy: Option<&Policy>, asked: RateLimitOverride) -> Result<Policy, Refusal> {
    let limit = u64::from(asked.requests_per_unit);
    let (unit, seconds) = match asked.unit() {
        RateLimitUnit::Unknown => {
            return Err(Refusal::Invalid(
                "a descriptor has a limit without a unit".to_owned(),
            ));
        }
        RateLimitUnit::Second => (Unit::Second, 1),
        RateLimitUnit::Minute => (Unit::Minute, 60),
        RateLimitUnit::Hour => (Unit::Hour, 3_600),
        RateLimitUnit::Day => (Unit::Day, 24 * 3_600),
        RateLimitUnit::Month => (Unit::Month, 30 * 24 * 3_600),
        RateLimitUnit::Year => (Unit::Year, 365 * 24 * 3_600),
    };
    let period = Duration::from_secs(seconds);
    Ok(match policy {
        Some(policy) => policy.with_limit(limit, period, unit)?,
        None => Policy::window(OVERRIDE, limit, period)?,
    })
}
