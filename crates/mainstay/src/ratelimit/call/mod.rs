//! One call of a limiter.

mod cost;
mod permits;
mod refund;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metrics::counter;
use sha2::{Digest, Sha256};
use tracing::{Instrument, Span, debug_span, field};

use self::cost::Cost;
use super::limiter::Shared;
use super::{Decision, Source};
use crate::backend::{Charge, Demand, LIMIT_MAX, Take};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{AsKey, StoreKey};

/// How long the answer to a call with a token is kept.
const ANSWER_KEPT: Duration = Duration::from_mins(10);

/// What is asked of a limiter; made by [`Limiter::call`](crate::ratelimit::Limiter::call).
#[must_use = "nothing is asked yet"]
pub struct Call<'a> {
    limiter: Cow<'a, Arc<Shared>>,
    keys: Result<Vec<StoreKey>>,
    cost: Cost,
    token: Result<Option<String>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(limiter: &'a Arc<Shared>, keys: Result<Vec<StoreKey>>) -> Self {
        Self {
            limiter: Cow::Borrowed(limiter),
            keys,
            cost: Cost::Same(None),
            token: Ok(None),
        }
    }

    /// How many units it takes of each policy, from 0 to 2^53; 1 if it is not said.
    pub fn cost(self, cost: u64) -> Self {
        let cost = Cost::Same(Some(cost));
        Self { cost, ..self }
    }

    /// Makes one call of two, which is decided in one step: neither is charged unless both fit.
    ///
    /// Each keeps its policies, its subjects and its cost. [`WhenDown`](crate::ratelimit::WhenDown), the cache of
    /// denials and the token are those of the first. On a Cluster it is as with
    /// [`call_each`](crate::ratelimit::Limiter::call_each).
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let minute = Duration::from_mins(1);
    /// let requests = stay.limiter(Policy::window("requests", 60, minute)?);
    /// let tokens = stay.limiter(Policy::window("tokens", 10_000, minute)?);
    /// let prompt = requests.call("ada").and(tokens.call("ada").cost(1_200));
    /// let left: Vec<_> = prompt.check().await?.quotas().iter().map(|it| it.remaining).collect();
    /// assert_eq!(left, [59, 8_800]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is wrong with them is told by the call that follows: [`Invalid`](ErrorKind::Invalid) when
    /// both are of one policy and subject, and when they are of two stores.
    pub fn and(self, other: Self) -> Self {
        let (ours, theirs) = (self.limiter.policies.len(), other.limiter.policies.len());
        let each = self
            .cost
            .of_each(ours)
            .chain(other.cost.of_each(theirs))
            .collect();
        let joined = self.limiter.join(&other.limiter);
        let (limiter, keys) = match joined {
            Ok(joined) => (Cow::Owned(Arc::new(joined)), both(self.keys, other.keys)),
            Err(error) => (self.limiter, Err(error)),
        };
        Self {
            limiter,
            keys,
            cost: Cost::Each(each),
            token: self.token,
        }
    }

    /// Makes it safe to repeat: whoever makes the same call again with this token within 10 minutes after
    /// it was allowed is answered as the first time, and charged once. A call of other policies,
    /// subjects or costs is another call. Such a call is sent again by itself when its reply is lost.
    ///
    /// Whoever chooses the token can repeat the call for free: take one that clients do not choose.
    pub fn once(self, token: &(impl AsKey + ?Sized)) -> Self {
        let token = token.key_text().map(|text| Some(text.into_owned()));
        Self { token, ..self }
    }

    /// Charges the cost if it fits.
    ///
    /// Cancel safe in memory; on a server a dropped call may have been charged.
    ///
    /// # Errors
    /// As [`Limiter::check`](crate::ratelimit::Limiter::check); [`Invalid`](ErrorKind::Invalid), too, for a cost
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
    /// As [`Limiter::peek`](crate::ratelimit::Limiter::peek).
    pub async fn peek(self) -> Result<Decision> {
        let demands = self.demands("")?;
        self.ask(&demands, Charge::No).await
    }

    /// As [`check`](Self::check), uncounted: whoever draws units ahead counts what becomes of them.
    pub(super) async fn take(self) -> Result<Decision> {
        let demands = self.demands("")?;
        self.ask(&demands, Charge::Yes).await
    }

    /// Forgets what was counted; whether anything was.
    ///
    /// # Errors
    /// As [`Limiter::reset`](crate::ratelimit::Limiter::reset).
    pub async fn reset(self) -> Result<bool> {
        let demands = self.demands("")?;
        let reset = self.limiter.store.reset(&self.keys?).await;
        self.limiter.forget_denials_of(&demands);
        Ok(reset? > 0)
    }

    fn demands(&self, permit: &str) -> Result<Vec<Demand>> {
        let keys = self.keys.as_ref().map_err(Clone::clone)?;
        let both = keys.iter().zip(&self.limiter.policies);
        let demand = both.enumerate().map(|(index, (key, policy))| {
            let cost = self.cost.of(index).unwrap_or(1);
            if cost > LIMIT_MAX {
                return Err(Error::invalid(format!(
                    "cost is {cost}: it must be at most {LIMIT_MAX}"
                )));
            }
            Ok(Demand {
                key: key.clone(),
                rule: policy.rule().clone(),
                cost,
                permit: policy.is_concurrent().then(|| permit.to_owned()),
            })
        });
        demand.collect()
    }

    async fn decide(&self, demands: &[Demand]) -> Result<Decision> {
        let token = self.token.as_ref().map_err(Clone::clone)?;
        let first = demands.first().map(|demand| &demand.key);
        let token = token
            .as_ref()
            .zip(first)
            .map(|(token, key)| key.below(&format!("!{token}!{}", digest(demands))));
        let charge = token
            .as_ref()
            .map_or(Charge::Yes, |key| Charge::Once(key, ANSWER_KEPT));
        let denials = self.limiter.useful_denials().filter(|_| token.is_none());
        let now = denials.map(|_| self.limiter.clock.now());
        let denials = denials.zip(now);
        if let Some((denials, now)) = denials
            && let Some(denied) = denials.find(demands, now)
        {
            self.count(&denied);
            return Ok(denied);
        }
        let denials = denials.map(|(denials, now)| (denials, denials.sent(now)));
        let span = debug_span!("limit.check", policy = %first_name(&self.limiter.policies), cost = most_units(demands), outcome = field::Empty);
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
        if let Some((denials, sent)) = denials {
            denials.note(demands, &decision, sent);
        }
        self.count(&decision);
        Ok(decision)
    }

    async fn ask(&self, demands: &[Demand], charge: Charge<'_>) -> Result<Decision> {
        let asking = self.limiter.store.take(demands, charge);
        match &self.limiter.outage {
            Some(outage) => {
                let (takes, source) = outage.decide(asking, demands, charge).await?;
                self.decision(demands, &takes, source)
            }
            None => self.decision(demands, &asking.await?, Source::Store),
        }
    }

    fn decision(&self, demands: &[Demand], takes: &[Take], source: Source) -> Result<Decision> {
        let policies = &self.limiter.policies;
        if takes.len() != policies.len() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "limit store did not answer each demand",
            ));
        }
        Ok(Decision::new(policies, demands, takes, source))
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

/// The keys of two calls, none of them twice.
fn both(ours: Result<Vec<StoreKey>>, theirs: Result<Vec<StoreKey>>) -> Result<Vec<StoreKey>> {
    let (mut keys, theirs) = (ours?, theirs?);
    if theirs.iter().any(|key| keys.contains(key)) {
        return Err(Error::invalid(
            "two of the calls are of one policy and subject: they would share their counts",
        ));
    }
    keys.extend(theirs);
    Ok(keys)
}

/// What tells a call from another of the same token.
fn digest(demands: &[Demand]) -> String {
    let mut hash = Sha256::new();
    for demand in demands {
        hash.update(demand.key.as_str());
        hash.update([0]);
        hash.update(demand.cost.to_be_bytes());
    }
    let digest = hash.finalize();
    URL_SAFE_NO_PAD.encode(
        digest
            .first_chunk::<12>()
            .expect("invariant: it has 32 bytes"),
    )
}

fn most_units(demands: &[Demand]) -> u64 {
    let costs = demands.iter().map(|demand| demand.cost);
    costs.max().unwrap_or(0)
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
