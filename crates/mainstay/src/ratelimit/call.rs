//! One call of a limiter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tracing::{Instrument, Span, debug_span, field};

use super::limiter::Shared;
use super::permit::{Entry, Permit};
use super::{Decision, Source};
use crate::backend::{Charge, Demand, LIMIT_MAX, Take};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{AsKey, StoreKey};
use crate::random;

/// How long the answer to a call with a token is kept.
const ANSWER_KEPT: Duration = Duration::from_mins(10);

/// What is asked of a limiter; made by [`Limiter::call`](super::Limiter::call).
#[must_use = "nothing is asked yet"]
pub struct Call<'a> {
    limiter: &'a Arc<Shared>,
    keys: Result<Vec<StoreKey>>,
    /// Where it is said.
    cost: Option<u64>,
    token: Result<Option<String>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(limiter: &'a Arc<Shared>, keys: Result<Vec<StoreKey>>) -> Self {
        Self {
            limiter,
            keys,
            cost: None,
            token: Ok(None),
        }
    }

    /// How many units it takes, from 0 to 2^53; 1 if it is not said.
    pub fn cost(self, cost: u64) -> Self {
        let cost = Some(cost);
        Self { cost, ..self }
    }

    /// Makes it safe to repeat: whoever calls again with this token within 10 minutes after it was
    /// allowed is answered as the first time, and charged once. Such a call is sent again by itself when
    /// its reply is lost.
    pub fn once(self, token: &(impl AsKey + ?Sized)) -> Self {
        let token = token.key_text().map(|text| Some(text.into_owned()));
        Self { token, ..self }
    }

    /// Charges the cost if it fits.
    ///
    /// Cancel safe in memory; on a server a dropped call may have been charged.
    ///
    /// # Errors
    /// As [`Limiter::check`](super::Limiter::check); [`Invalid`](ErrorKind::Invalid), too, for a cost
    /// above 2^53, a token that is no key, and one for subjects on several nodes of a Cluster.
    pub async fn check(self) -> Result<Decision> {
        if self.limiter.has_permits() {
            return Err(Error::invalid(
                "a policy of concurrent calls gives permits: enter, do not check",
            ));
        }
        let demands = self.demands("")?;
        self.decide(&demands).await
    }

    /// Tells whether the cost would fit, and charges nothing. Cancel safe.
    ///
    /// # Errors
    /// As [`Limiter::peek`](super::Limiter::peek).
    pub async fn peek(self) -> Result<Decision> {
        let demands = self.demands("")?;
        self.ask(&demands, Charge::No).await
    }

    /// Takes a permit of each policy of [concurrent](super::Policy::concurrent) calls, and charges the
    /// others, if all fit.
    ///
    /// Cancel safe: what a dropped call has taken is given back in the background, or ends with its
    /// lease.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{Entry, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let exports = stay.limiter(Policy::concurrent("export", 1, Duration::from_secs(30))?);
    /// let Entry::Entered(permit) = exports.call("ada").enter().await? else {
    ///     panic!("nobody else is in");
    /// };
    /// assert!(matches!(exports.call("ada").enter().await?, Entry::Denied(_)));
    /// permit.leave().await?;
    /// assert!(matches!(exports.call("ada").enter().await?, Entry::Entered(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Invalid`](ErrorKind::Invalid), too, when no policy gives permits
    /// and with a token.
    pub async fn enter(self) -> Result<Entry> {
        let Some(lease) = self.limiter.shortest_lease() else {
            return Err(Error::invalid(
                "no policy gives permits: check, do not enter",
            ));
        };
        if !matches!(self.token, Ok(None)) {
            return Err(Error::invalid("a call that enters has no token"));
        }
        let demands = self.demands(&random::token())?;
        let permit = Permit::claimed(Arc::clone(self.limiter), &demands, lease);
        let decision = self.decide(&demands).await?;
        if decision.is_allowed() {
            return Ok(Entry::Entered(permit.entered(decision)));
        }
        permit.forget();
        Ok(Entry::Denied(decision))
    }

    /// Gives back what an allowed call has taken, or as much of it as the [`cost`](Self::cost) says;
    /// whether anything was given back.
    ///
    /// Cancel safe in memory; on a server a dropped call may have taken effect.
    ///
    /// # Errors
    /// As [`Limiter::refund`](super::Limiter::refund).
    pub async fn refund(self, decision: &Decision) -> Result<bool> {
        // What was decided without the store was not charged there.
        let is_charged = decision.is_allowed() && decision.source() != Source::Fallback;
        if !is_charged || decision.cost() == 0 {
            return Ok(false);
        }
        let cost = self.cost.unwrap_or(u64::MAX).min(decision.cost());
        self.cost(cost).refund_of(decision.decided_at()).await
    }

    /// Gives back the [`cost`](Self::cost) of a call that was decided at this time, for who has not kept
    /// the [`Decision`]; whether anything was given back.
    ///
    /// # Errors
    /// As [`Limiter::refund`](super::Limiter::refund).
    pub async fn refund_of(self, decided_at: Duration) -> Result<bool> {
        let demands = self.demands("")?;
        let refunded = self.limiter.store.refund(&demands, decided_at).await?;
        Ok(refunded > 0)
    }

    /// As [`check`](Self::check), uncounted: whoever draws units ahead counts what becomes of them.
    pub(super) async fn take(self) -> Result<Decision> {
        let demands = self.demands("")?;
        self.ask(&demands, Charge::Yes).await
    }

    /// Forgets what was counted; whether anything was.
    ///
    /// # Errors
    /// As [`Limiter::reset`](super::Limiter::reset).
    pub async fn reset(self) -> Result<bool> {
        let reset = self.limiter.store.reset(&self.keys?).await?;
        Ok(reset > 0)
    }

    fn demands(&self, permit: &str) -> Result<Vec<Demand>> {
        let cost = self.units();
        if cost > LIMIT_MAX {
            return Err(Error::invalid(format!(
                "cost is {cost}: it must be at most {LIMIT_MAX}"
            )));
        }
        let keys = self.keys.as_ref().map_err(Clone::clone)?;
        let both = keys.iter().zip(&self.limiter.policies);
        let demand = both.map(|(key, policy)| Demand {
            key: key.clone(),
            rule: policy.rule().clone(),
            cost,
            permit: policy.is_concurrent().then(|| permit.to_owned()),
        });
        Ok(demand.collect())
    }

    fn units(&self) -> u64 {
        self.cost.unwrap_or(1)
    }

    async fn decide(&self, demands: &[Demand]) -> Result<Decision> {
        let token = self.token.as_ref().map_err(Clone::clone)?;
        let first = demands.first().map(|demand| &demand.key);
        let token = token
            .as_ref()
            .zip(first)
            .map(|(token, key)| key.below(&format!("!{token}")));
        let charge = token
            .as_ref()
            .map_or(Charge::Yes, |key| Charge::Once(key, ANSWER_KEPT));
        let span = debug_span!("limit.check", policy = %first_name(&self.limiter.policies), cost = self.units(), outcome = field::Empty);
        let deciding = async {
            let decision = self.ask(demands, charge).await;
            let outcome = match &decision {
                Ok(decision) if decision.is_allowed() => "allowed",
                Ok(_) => "denied",
                Err(_) => "error",
            };
            Span::current().record("outcome", outcome);
            decision
        };
        let decision = deciding.instrument(span).await?;
        self.count(&decision);
        Ok(decision)
    }

    async fn ask(&self, demands: &[Demand], charge: Charge<'_>) -> Result<Decision> {
        let asking = self.limiter.store.take(demands, charge);
        match &self.limiter.outage {
            Some(outage) => {
                let (takes, source) = outage.decide(asking, demands, charge).await?;
                self.decision(&takes, source)
            }
            None => self.decision(&asking.await?, Source::Store),
        }
    }

    fn decision(&self, takes: &[Take], source: Source) -> Result<Decision> {
        let policies = &self.limiter.policies;
        if takes.len() != policies.len() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "limit store did not answer each demand",
            ));
        }
        let policies = policies.iter().map(|it| (it.name(), it.capacity()));
        Ok(Decision::new(policies, takes, source, self.units()))
    }

    /// A denial counts for the policies that deny.
    fn count(&self, decision: &Decision) {
        let name = if decision.is_allowed() {
            "allowed"
        } else {
            "denied"
        };
        for (quota, label) in decision.quotas().iter().zip(&self.limiter.labels) {
            if decision.is_allowed() || quota.retry_after.is_some() {
                let policy = label.clone();
                counter!("mainstay_limit_decisions_total", "policy" => policy, "decision" => name)
                    .increment(1);
            }
        }
    }
}

/// The name of the first policy, as the span tells it.
fn first_name(policies: &[super::Policy]) -> &str {
    policies.first().map_or("", |policy| policy.name().as_str())
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}
