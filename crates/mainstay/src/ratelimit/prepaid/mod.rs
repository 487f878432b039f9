//! Limits that are paid ahead.
//!
//! Units are drawn from the store for a lease, and used within it. A use at `t` is of a draw in
//! `(t - lease, t]`; so the uses in any `(t - period, t]` are of draws in `(t - period - lease, t]`, of which
//! the store admits no more than the limit, since it counts in a period that is so much longer.

mod draw;
mod returns;
mod slot;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, SharedString, counter};
use quick_cache::sync::Cache;

use self::draw::Draw;
use self::returns::Returns;
use self::slot::{Slot, Spent};
use super::limiter::Shared;
use super::{Decision, Policy, Quota, RetryAfter, Source};
use crate::error::{Error, Result};
use crate::key::{AsKey, Key};

const LEASE_MIN: Duration = Duration::from_millis(10);

/// Subjects of which a process holds units, or knows that they are refused. Beyond, those that were not
/// asked for lately are forgotten, and nothing is drawn ahead for one more.
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
        Self::for_subjects(SUBJECTS, shared, nodes, lease)
    }

    fn for_subjects(
        subjects: usize,
        shared: &Arc<Shared>,
        nodes: NonZeroU32,
        lease: Duration,
    ) -> Result<Self> {
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
        let lost = counter!("mainstay_limit_units_lost_total", "policy" => label.clone());
        Ok(Self(Arc::new(Inner {
            returns: Returns::new(Arc::clone(&limiter), subjects, lost),
            allowed: decided("allowed"),
            denied: decided("denied"),
            policy: policy.clone(),
            limiter,
            lease,
            portion,
            slots: Cache::new(subjects),
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
    /// Cancel safe: a draw goes on without its callers, and its units are for the calls to come.
    ///
    /// # Errors
    /// As there.
    pub async fn check(&self, subject: impl AsKey) -> Result<Decision> {
        self.check_cost(subject, 1).await
    }

    /// Charges `cost` units if all of them fit, as
    /// [`Limiter::check_cost`](super::Limiter::check_cost).
    ///
    /// Cancel safety as [`check`](Self::check).
    ///
    /// # Errors
    /// As there.
    pub async fn check_cost(&self, subject: impl AsKey, cost: u64) -> Result<Decision> {
        let known = {
            let text = subject.key_text()?;
            self.0.slots.get(&*text)
        };
        if let Some(slot) = &known
            && let Some(decision) = self.0.by_lease(slot, cost)
        {
            return Ok(decision);
        }
        let subject = subject.as_key()?.into_owned();
        let slot = known.unwrap_or_else(|| self.0.slot_of(&subject));
        self.by_draw(subject, slot, cost).await
    }

    /// Looks without charging: what remains in the store, with what this process holds unused. What
    /// other processes hold counts as used.
    ///
    /// [`Limiter::peek`](super::Limiter::peek) of the same policy sees something else: the store counts
    /// in a period that is longer by the lease.
    ///
    /// Cancel safe.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    /// use mainstay::ratelimit::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let nodes = NonZeroU32::new(4).expect("not zero");
    /// let policy = Policy::window("ingest", 10_000, Duration::from_secs(1))?;
    /// let limiter = stay.limiter(policy).prepaid(nodes, Duration::from_millis(500))?;
    /// assert!(limiter.check_cost("plant-7", 3).await?.is_allowed());
    /// assert_eq!(limiter.peek("plant-7").await?.remaining(), 9_997);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn peek(&self, subject: impl AsKey) -> Result<Decision> {
        let subject = subject.as_key()?.into_owned();
        let slot = self.0.slots.get(subject.as_str());
        let held = slot.map_or(0, |slot| slot.unused());
        let look = self.0.limiter.call_on(&subject).cost(0).peek().await?;
        // They may have been given back meanwhile.
        let held = held.min(look.limit().saturating_sub(look.remaining()));
        Ok(look.of_a_part(0, held))
    }

    /// Forgets what was counted for a subject, what this process holds for it, and that it was refused;
    /// whether anything was counted.
    ///
    /// What other processes hold they may use until its lease ends: up to a quarter of the limit, once.
    /// That the subject was refused they forget within a lease.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// As [`Limiter::reset`](super::Limiter::reset).
    pub async fn reset(&self, subject: impl AsKey) -> Result<bool> {
        let subject = subject.as_key()?.into_owned();
        let slot = self.0.slot_of(&subject);
        // What a draw that is under way was told is of before.
        let _alone = slot.drawing.lock().await;
        let was_counted = self.0.limiter.call_on(&subject).reset().await?;
        slot.forget();
        Ok(was_counted)
    }

    /// Draws for one caller of a subject at a time; the others find what it has drawn.
    async fn by_draw(&self, subject: Key, slot: Arc<Slot>, cost: u64) -> Result<Decision> {
        let asked = self.0.limiter.clock.now();
        let turn = Arc::clone(&slot.drawing).lock_owned().await;
        if let Some(decision) = self.0.by_lease(&slot, cost) {
            return Ok(decision);
        }
        if let Some(error) = turn.failed_after(asked) {
            return Err(error);
        }
        let inner = Arc::clone(&self.0);
        let draw = Draw {
            inner,
            subject,
            slot,
            cost,
            turn,
        };
        draw.decide().await
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

    fn slot_of(&self, subject: &Key) -> Arc<Slot> {
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::default());
        match self.slots.get_or_insert_with(subject.as_str(), fresh) {
            Ok(slot) => slot,
            Err(never) => match never {},
        }
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
