//! Decides for one policy or several.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use metrics::SharedString;

use super::call::Call;
use super::denials::Denials;
use super::outage::Outage;
use super::{Decision, Policy, PrepaidLimiter, WhenDown};
use crate::backend::{Demand, LimitStore, Rule};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::key::{AsKey, Key, Keyspace};

/// Decides whether a subject is within one policy, or all of several.
///
/// Made by [`Mainstay::limiter`](crate::Mainstay::limiter). Cheap to clone. The store's clock
/// decides, so all processes agree. Several policies are decided on in one step: a call that one of
/// them denies is charged to none.
#[derive(Clone)]
pub struct Limiter(Arc<Shared>);

/// What the clones of a limiter share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn LimitStore>,
    pub(super) keyspace: Keyspace,
    pub(super) clock: Arc<dyn Clock>,
    /// Of this process.
    pub(super) memory: Arc<dyn LimitStore>,
    pub(super) outage: Option<Outage>,
    pub(super) denials: Option<Arc<Denials>>,
    pub(super) command_timeout: Duration,
    pub(super) policies: Vec<Policy>,
    /// Their names, for metrics.
    pub(super) labels: Vec<SharedString>,
}

impl Limiter {
    pub(crate) fn new(
        store: Arc<dyn LimitStore>,
        memory: Arc<dyn LimitStore>,
        keyspace: Keyspace,
        clock: Arc<dyn Clock>,
        command_timeout: Duration,
        policy: Policy,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            memory,
            keyspace,
            clock,
            outage: None,
            denials: None,
            command_timeout,
            labels: vec![label(&policy)],
            policies: vec![policy],
        }))
    }

    /// A limiter for one policy more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let second = Policy::window("second", 2, Duration::from_secs(1))?;
    /// let day = Policy::window("day", 3, Duration::from_hours(24))?;
    /// let limiter = stay.limiter(second).and(day)?;
    /// assert!(limiter.check_cost("ada", 2).await?.is_allowed());
    /// let denied = limiter.check_cost("ada", 2).await?;
    /// assert_eq!(denied.tightest().policy.as_str(), "day");
    /// // Neither was charged.
    /// let left: Vec<_> = denied.quotas().iter().map(|quota| quota.remaining).collect();
    /// assert_eq!(left, [0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there is a policy of that name.
    pub fn and(&self, policy: Policy) -> Result<Self> {
        if self.policies().iter().any(|it| it.name() == policy.name()) {
            return Err(Error::invalid(format!(
                "there are two policies of the name {}: they would share their counts",
                policy.name()
            )));
        }
        let labels = vec![label(&policy)];
        let joined = self.0.with(vec![policy], labels)?;
        Ok(Self(Arc::new(joined)))
    }

    /// Says what is decided while the backend does not answer; without it, the call fails.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{Policy, WhenDown};
    ///
    /// # fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let limiter = stay
    ///     .limiter(Policy::window("api", 100, Duration::from_secs(1))?)
    ///     .when_down(WhenDown::Local(4.try_into().expect("not zero")))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a policy gives permits, which only the store can, and
    /// when its limit has less than a unit for each node.
    pub fn when_down(&self, when_down: WhenDown) -> Result<Self> {
        let mut shared = (*self.0).clone();
        let (memory, clock) = (Arc::clone(&shared.memory), Arc::clone(&shared.clock));
        shared.outage = Some(Outage::new(when_down, &shared.policies, memory, clock)?);
        Ok(Self(Arc::new(shared)))
    }

    /// A limiter that remembers denials: until the wait is over that the store has told, this process
    /// denies by itself what costs as much or more for the same subject.
    ///
    /// Whoever hammers then costs the store nothing. The price: what is given back or reset meanwhile by
    /// another limiter is not seen before the wait is over. It remembers so many subjects, a few
    /// hundred bytes each, and lets go of those that are asked for least. Calls with a
    /// [token](Call::once) and those that [enter](Call::enter) always ask the store.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{Policy, Source};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let policy = Policy::window("login", 1, Duration::from_mins(1))?;
    /// let subjects = NonZeroUsize::new(10_000).expect("not zero");
    /// let limiter = stay.limiter(policy).remember_denials(subjects);
    /// assert!(limiter.check("ada").await?.is_allowed());
    /// assert_eq!(limiter.check("ada").await?.source(), Source::Store);
    /// assert_eq!(limiter.check("ada").await?.source(), Source::Refusal);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remember_denials(&self, subjects: NonZeroUsize) -> Self {
        let mut shared = (*self.0).clone();
        shared.denials = Some(Arc::new(Denials::new(subjects)));
        Self(Arc::new(shared))
    }

    /// The policies it decides by.
    pub fn policies(&self) -> &[Policy] {
        &self.0.policies
    }

    /// A limiter that pays ahead: the process draws units for `lease` at a time and answers from them by
    /// itself, in less than a microsecond; it gives back what it has not used by then.
    ///
    /// The limit holds as before, in any interval and over all processes. The price is that units count
    /// for `lease` longer, and that up to a quarter of the limit may lie unused in `nodes` processes.
    /// All processes must use the policy in this way, with the same `lease`; 50 ms are enough to draw
    /// 20 times a second.
    ///
    /// A subject that the store has refused is refused by the process itself for at most `lease`, with
    /// the exact time to come back; then the store is asked again. A draw goes on when its caller is
    /// dropped. What is held when the limiter is dropped is given back at once. For more than 100,000
    /// subjects at a time nothing is drawn ahead: they are asked for one by one.
    ///
    /// ```
    /// use std::num::{NonZeroU32, NonZeroUsize};
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{Policy, Source};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let nodes = NonZeroU32::new(4).expect("not zero");
    /// let policy = Policy::window("ingest", 10_000, Duration::from_secs(1))?;
    /// let limiter = stay.limiter(policy).prepaid(nodes, Duration::from_millis(50))?;
    /// assert_eq!(limiter.check("plant-7").await?.source(), Source::Store);
    /// assert_eq!(limiter.check("plant-7").await?.source(), Source::Lease);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there are several policies, or the policy is no
    /// [`window`](Policy::window); when its limit is below eight for each node; after
    /// [`when_down`](Self::when_down); and unless `lease` is from 10 ms to the period.
    pub fn prepaid(&self, nodes: NonZeroU32, lease: Duration) -> Result<PrepaidLimiter> {
        PrepaidLimiter::new(&self.0, nodes, lease)
    }

    /// Charges one unit if it fits.
    ///
    /// Cancel safe in memory; on a server a dropped call may have been charged.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a subject that is no key, and when a policy gives
    /// permits; [`Unavailable`](crate::ErrorKind::Unavailable) when nothing was charged;
    /// [`Unknown`](crate::ErrorKind::Unknown) when it may have been: it is not sent again.
    pub async fn check(&self, subject: impl AsKey) -> Result<Decision> {
        self.call(subject).check().await
    }

    /// Charges `cost` units if all of them fit; a cost of 0 always does.
    ///
    /// Cancel safety as [`check`](Self::check).
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{Policy, RetryAfter};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let limiter = stay.limiter(Policy::window("bytes", 10, Duration::from_secs(1))?);
    /// assert!(limiter.check_cost("ada", 8).await?.is_allowed());
    /// let denied = limiter.check_cost("ada", 11).await?;
    /// assert_eq!((denied.remaining(), denied.retry_after()), (2, Some(RetryAfter::Never)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn check_cost(&self, subject: impl AsKey, cost: u64) -> Result<Decision> {
        self.call(subject).cost(cost).check().await
    }

    /// Looks without charging: what remains, and when nothing is counted any more.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a subject that is no key;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer.
    pub async fn peek(&self, subject: impl AsKey) -> Result<Decision> {
        self.call(subject).cost(0).peek().await
    }

    /// Gives back all that an allowed call has taken, as far as it still counts; whether anything
    /// did. Who gives back twice gets twice as much back.
    ///
    /// Cancel safe in memory; on a server a dropped call may have taken effect.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let limiter = stay.limiter(Policy::window("mail", 3, Duration::from_hours(1))?);
    /// let decision = limiter.check_cost("ada", 2).await?;
    /// // It could not be sent after all.
    /// assert!(limiter.refund("ada", &decision).await?);
    /// assert_eq!(limiter.peek("ada").await?.remaining(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn refund(&self, subject: impl AsKey, decision: &Decision) -> Result<bool> {
        self.call(subject).refund(decision).await
    }

    /// Forgets what was counted for a subject by all policies; whether anything was.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// As [`peek`](Self::peek).
    pub async fn reset(&self, subject: impl AsKey) -> Result<bool> {
        self.call(subject).reset().await
    }

    /// Starts a call with more to say.
    pub fn call(&self, subject: impl AsKey) -> Call<'_> {
        match subject.as_key() {
            Ok(subject) => self.0.call_on(&subject),
            Err(error) => Call::new(&self.0, Err(error)),
        }
    }

    /// Starts a call on a subject for each policy, in their order: an address, a user, everybody.
    ///
    /// On a Cluster such subjects are on several nodes, and are charged one after the other, in this
    /// order: what a call has taken that a later one denies, because it was used up in that moment, is
    /// given back. Until then it may be missing to others: name first what runs out first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::Policy;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let second = Duration::from_secs(1);
    /// let limiter = stay
    ///     .limiter(Policy::window("ip", 10, second)?)
    ///     .and(Policy::window("user", 5, second)?)?;
    /// let decision = limiter.call_each(&["192.0.2.1", "ada"]).check().await?;
    /// assert_eq!(decision.quotas()[1].remaining, 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_each<K: AsKey>(&self, subjects: &[K]) -> Call<'_> {
        Call::new(&self.0, self.keys_of_each(subjects))
    }

    fn keys_of_each<K: AsKey>(&self, subjects: &[K]) -> Result<Vec<crate::key::StoreKey>> {
        let policies = self.policies();
        if subjects.len() != policies.len() {
            return Err(Error::invalid(format!(
                "{} subjects were named for {} policies: it takes one for each",
                subjects.len(),
                policies.len()
            )));
        }
        let both = subjects.iter().zip(policies);
        both.map(|(subject, policy)| {
            let subject = subject.as_key()?;
            Ok(self.0.keyspace.limit(&subject, policy.name()))
        })
        .collect()
    }
}

impl Shared {
    /// A call on one subject, already checked.
    pub(super) fn call_on(self: &Arc<Self>, subject: &Key) -> Call<'_> {
        let policies = self.policies.iter();
        let keys = policies.map(|policy| self.keyspace.limit(subject, policy.name()));
        Call::new(self, Ok(keys.collect()))
    }

    /// Decides by the policies of both.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when they are of two stores, and when what is decided
    /// during an outage does not suit the other's policies.
    pub(super) fn join(&self, other: &Self) -> Result<Self> {
        if !Arc::ptr_eq(&self.store, &other.store) {
            return Err(Error::invalid(
                "the calls are of two stores: one step cannot decide on both",
            ));
        }
        self.with(other.policies.clone(), other.labels.clone())
    }

    fn with(&self, policies: Vec<Policy>, labels: Vec<SharedString>) -> Result<Self> {
        let mut joined = self.clone();
        joined.policies.extend(policies);
        joined.labels.extend(labels);
        let over = |outage: &Outage| outage.over(&joined.policies);
        joined.outage = self.outage.as_ref().map(over).transpose()?;
        Ok(joined)
    }

    /// The cache of denials, where it may be asked.
    pub(super) fn useful_denials(&self) -> Option<&Denials> {
        let denials = self.denials.as_deref();
        denials.filter(|_| Denials::suit(&self.policies))
    }

    pub(super) fn forget_denials_of(&self, demands: &[Demand]) {
        if let Some(denials) = &self.denials {
            denials.forget(demands);
        }
    }

    pub(super) fn has_permits(&self) -> bool {
        self.policies.iter().any(Policy::is_concurrent)
    }

    /// How long a permit lasts that is not renewed.
    pub(super) fn shortest_lease(&self) -> Option<Duration> {
        let leases = self
            .policies
            .iter()
            .filter_map(|policy| match policy.rule() {
                Rule::Concurrent(rule) => Some(Duration::from_micros(rule.lease_micros())),
                _ => None,
            });
        leases.min()
    }
}

fn label(policy: &Policy) -> SharedString {
    SharedString::from_shared(policy.name().as_str().into())
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("policies", &self.0.policies)
            .finish_non_exhaustive()
    }
}
