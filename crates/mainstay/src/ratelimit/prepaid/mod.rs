//! Limits that are paid ahead.
//!
//! Units are drawn from the store for a lease, and used within it. A use at `t` is of a draw in
//! `(t - lease, t]`; so the uses in any `(t - period, t]` are of draws in `(t - period - lease, t]`, of which
//! the store admits no more than the limit, since it counts in a period that is so much longer.

mod returns;
mod slot;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, SharedString, counter};
use quick_cache::sync::Cache;

use self::returns::Returns;
use self::slot::{Drawn, Refusal, Slot, Spent};
use super::limiter::Shared;
use super::{Decision, Policy, Quota, RetryAfter, Source};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::key::{AsKey, Key};

const LEASE_MIN: Duration = Duration::from_millis(10);

/// Subjects of which a process holds units, or knows that they are refused; beyond, those that were
/// not asked for lately are forgotten.
const SUBJECTS: usize = 100_000;

/// Decides by what the process has drawn ahead; made by [`Limiter::prepaid`](super::Limiter::prepaid).
///
/// Cheap to clone. What it holds when it is dropped is given back in the background. Its counters are
/// registered with the recorder that is installed when it is made.
#[derive(Clone)]
pub struct PrepaidLimiter(Arc<Inner>);

struct Inner {
    /// With a period that is longer by the lease.
    limiter: Arc<Shared>,
    policy: Policy,
    lease: Duration,
    /// Units of a draw.
    portion: u64,
    slots: Cache<String, Arc<Slot>>,
    returns: Arc<Returns>,
    allowed: Counter,
    denied: Counter,
}

impl PrepaidLimiter {
    pub(super) fn new(shared: &Arc<Shared>, nodes: NonZeroU32, lease: Duration) -> Result<Self> {
        let [policy] = shared.policies.as_slice() else {
            return Err(Error::invalid(
                "several policies cannot be prepaid together",
            ));
        };
        if shared.outage.is_some() {
            return Err(Error::invalid(
                "a limiter that pays ahead cannot do without the store: it has no when_down",
            ));
        }
        if lease < LEASE_MIN || lease > policy.period() {
            return Err(Error::invalid(format!(
                "lease of a prepaid limit must be from 10 ms to the period of {policy}"
            )));
        }
        let most = policy.limit() / (4 * u64::from(nodes.get()));
        if most < 2 {
            return Err(Error::invalid(format!(
                "policy {policy} is too small to be prepaid by {nodes} nodes: check it in the store"
            )));
        }
        let rate = u128::from(policy.limit()) * lease.as_nanos() / policy.period().as_nanos();
        let portion = u64::try_from(rate).unwrap_or(u64::MAX).clamp(1, most);
        let stretched = policy.stretched(lease)?;
        let limiter = Arc::new(Shared {
            policies: vec![stretched],
            ..(**shared).clone()
        });
        let label = SharedString::from_shared(policy.name().as_str().into());
        let decided = |decision| {
            let policy = label.clone();
            counter!("mainstay_limit_decisions_total", "policy" => policy, "decision" => decision)
        };
        Ok(Self(Arc::new(Inner {
            returns: Returns::new(Arc::clone(&limiter)),
            allowed: decided("allowed"),
            denied: decided("denied"),
            policy: policy.clone(),
            limiter,
            lease,
            portion,
            slots: Cache::new(SUBJECTS),
        })))
    }

    /// The policy it decides by.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The most units that this process holds unused of one subject.
    pub fn portion(&self) -> u64 {
        self.0.portion
    }

    /// Charges one unit if it fits, as [`Limiter::check`](super::Limiter::check).
    ///
    /// # Errors
    /// As there.
    pub async fn check(&self, subject: impl AsKey) -> Result<Decision> {
        self.check_cost(subject, 1).await
    }

    /// Charges `cost` units if all of them fit, as
    /// [`Limiter::check_cost`](super::Limiter::check_cost).
    ///
    /// # Errors
    /// As there.
    pub async fn check_cost(&self, subject: impl AsKey, cost: u64) -> Result<Decision> {
        let inner = &*self.0;
        let known = {
            let text = subject.key_text()?;
            inner.slots.get(&*text)
        };
        if let Some(slot) = &known
            && let Some(decision) = inner.by_lease(slot, cost)
        {
            return Ok(decision);
        }
        let subject = subject.as_key()?.into_owned();
        inner.draw(&subject, known, cost).await
    }
}

impl Inner {
    /// What the process can say by itself.
    fn by_lease(&self, slot: &Slot, cost: u64) -> Option<Decision> {
        // Not the coarse clock: that may be behind, and units must not outlive their lease.
        let now = self.limiter.clock.now();
        let (source, drawn, remaining, retry_after) = match slot.spend(now, cost) {
            Spent::Units(left, drawn) => {
                self.allowed.increment(1);
                (Source::Lease, drawn, drawn.left + left, None)
            }
            Spent::Refused(fits_at, drawn) => {
                self.denied.increment(1);
                let wait = Some(RetryAfter::After(fits_at.since(now)));
                (Source::Refusal, drawn, drawn.left, wait)
            }
            Spent::Nothing => return None,
        };
        let quota = Quota {
            policy: self.policy.name().clone(),
            cost,
            limit: self.policy.limit(),
            remaining,
            retry_after,
            reset_after: drawn.reset_in(now),
            decided_at: drawn.at + now.since(drawn.moment),
        };
        Some(Decision::local(source, quota))
    }

    /// Draws for one caller of a subject at a time; the others find what it has drawn.
    async fn draw(&self, subject: &Key, known: Option<Arc<Slot>>, cost: u64) -> Result<Decision> {
        let slot = known.unwrap_or_else(|| {
            let fresh = || Ok::<_, std::convert::Infallible>(Arc::default());
            match self.slots.get_or_insert_with(subject.as_str(), fresh) {
                Ok(slot) => slot,
                Err(never) => match never {},
            }
        });
        let _alone = slot.drawing.lock().await;
        if let Some(decision) = self.by_lease(&slot, cost) {
            return Ok(decision);
        }
        if let Some((unused, at)) = slot.clear() {
            // Best effort: what is not given back counts as used.
            self.returns.give_back(subject, unused, at).await;
        }
        // For a lease, else for what is left, else for this call alone.
        let mut wanted = if cost == 0 { 0 } else { self.portion.max(cost) };
        let mut has_asked_for_the_rest = false;
        loop {
            let sent = self.limiter.clock.now();
            let call = self.limiter.call_on(subject).cost(wanted);
            let decision = call.take().await?;
            let ends = sent.after(self.lease);
            let left = decision.remaining();
            if decision.is_allowed() {
                let drawn = Drawn::new(&decision, sent);
                self.keep(subject, &slot, wanted - cost, ends, drawn).await;
                self.allowed.increment(1);
                return Ok(decision.of_a_part(cost, wanted - cost));
            }
            if wanted == cost {
                if let Some(RetryAfter::After(wait)) = decision.retry_after() {
                    let refusal = self.refusal(cost, sent.after(wait));
                    slot.refuse(refusal, Drawn::new(&decision, sent));
                }
                self.denied.increment(1);
                return Ok(decision);
            }
            let has_asked = std::mem::replace(&mut has_asked_for_the_rest, true);
            wanted = if !has_asked && left > cost {
                left.min(wanted)
            } else {
                cost
            };
        }
    }

    /// Held to for a lease at most: what others give back, or a reset, is seen within one.
    fn refusal(&self, cost: u64, fits_at: Moment) -> Refusal {
        let next_look = self.limiter.clock.now().after(self.lease);
        Refusal {
            cost,
            fits_at,
            until: fits_at.min(next_look),
        }
    }

    /// Keeps what is left of a draw for the calls to come, unless it came too late to be used.
    async fn keep(&self, subject: &Key, slot: &Arc<Slot>, units: u64, ends: Moment, drawn: Drawn) {
        if units == 0 {
            return;
        }
        if self.limiter.clock.now() >= ends {
            self.returns.give_back(subject, units, drawn.at).await;
            return;
        }
        slot.fill(units, ends, drawn);
        self.returns.after(ends, subject, slot);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.returns.all_now();
    }
}

impl fmt::Debug for PrepaidLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrepaidLimiter")
            .field("policy", &self.0.policy)
            .field("lease", &self.0.lease)
            .field("portion", &self.0.portion)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
