//! One lock over several servers that know nothing of each other.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::attempt::is_transient;
use super::{Acquire, Lock, LockGuard, LockLost};
use crate::clock::{Clock, Moment};
use crate::error::{Error, Result};
use crate::random;

/// Longest pause before a majority is tried for again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the rest of the servers are waited for once a majority has answered: every one more that
/// holds the lock is one more that may fail.
const GRACE: Duration = Duration::from_millis(50);

/// A lock that is held when a majority of independent servers says so, for services that share one
/// with other implementations of Redlock
/// (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>).
///
/// A compatibility mode. It survives the loss of a minority of the servers, but it gives no fence:
/// numbers of servers that know nothing of each other cannot be compared, so that nothing keeps out a
/// holder that was suspended. It is neither fair nor without polling. One server with replicas, and
/// the fence checked where it counts, promises more.
///
/// ```
/// use std::time::Duration;
/// use mainstay::Mainstay;
/// use mainstay::lock::{AcquireMajority, Redlock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let servers = [Mainstay::memory(), Mainstay::memory(), Mainstay::memory()];
/// let ttl = Duration::from_secs(10);
/// let locks = servers.iter().map(|stay| stay.lock("report").ttl(ttl).build());
/// let lock = Redlock::new(locks.collect::<mainstay::Result<_>>()?)?;
/// let AcquireMajority::Acquired(guard) = lock.acquire(Duration::from_secs(1)).await? else {
///     panic!("nobody else holds it");
/// };
/// assert!(guard.check().is_ok());
/// assert!(matches!(lock.acquire(Duration::ZERO).await?, AcquireMajority::Held));
/// guard.release().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Redlock {
    locks: Vec<Lock>,
    majority: NonZeroUsize,
}

/// Whether a majority was acquired.
#[derive(Debug)]
#[must_use]
pub enum AcquireMajority {
    /// It is held while the guard lives and a majority is not lost.
    Acquired(RedlockGuard),
    /// Others hold too many.
    Held,
}

/// A held majority, each lock of which is renewed; dropping it releases all in the background.
#[derive(Debug)]
#[must_use = "a dropped guard releases its locks"]
pub struct RedlockGuard {
    guards: Vec<LockGuard>,
    majority: NonZeroUsize,
}

impl Redlock {
    /// Over one lock a server, all of one name and ttl.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an even number of servers or fewer than three, or locks
    /// that differ in name or ttl.
    pub fn new(locks: Vec<Lock>) -> Result<Self> {
        if locks.len() < 3 || locks.len().is_multiple_of(2) {
            return Err(Error::invalid(format!(
                "redlock needs 3, 5, 7 or so independent servers, not {}",
                locks.len()
            )));
        }
        let terms = |lock: &Lock| (lock.name().clone(), lock.shared().ttl);
        if locks
            .iter()
            .skip(1)
            .any(|lock| Some(terms(lock)) != locks.first().map(terms))
        {
            return Err(Error::invalid(
                "redlock needs one name and one ttl on all servers",
            ));
        }
        let majority = NonZeroUsize::MIN.saturating_add(locks.len() / 2);
        Ok(Self { locks, majority })
    }

    /// Takes the lock on a majority of the servers, trying again for at most `wait`.
    ///
    /// Cancel safe: what a dropped call has taken is released in the background.
    ///
    /// # Errors
    /// The error of a server when so many do not answer that the rest is no majority.
    pub async fn acquire(&self, wait: Duration) -> Result<AcquireMajority> {
        let Some(first) = self.locks.first() else {
            return Ok(AcquireMajority::Held);
        };
        let clock = &first.shared().clock;
        let end = clock.now().after(wait);
        loop {
            let error = match self.attempt(&**clock).await {
                Ok(Some(guard)) => return Ok(AcquireMajority::Acquired(guard)),
                Ok(None) => None,
                Err(error) if is_transient(&error) => Some(error),
                Err(error) => return Err(error),
            };
            let now = clock.now();
            if now >= end {
                return error.map_or(Ok(AcquireMajority::Held), Err);
            }
            // At random, or two who have half each would meet again and again.
            let pause = PAUSE / 10 + random::up_to(PAUSE);
            clock.sleep_until(now.after(pause).min(end)).await;
        }
    }

    /// Asks all at once; does not wait long for a minority that is slow.
    async fn attempt(&self, clock: &dyn Clock) -> Result<Option<RedlockGuard>> {
        let mut answers: FuturesUnordered<_> = self.locks.iter().map(Lock::try_acquire).collect();
        let mut held = RedlockGuard {
            guards: Vec::with_capacity(self.locks.len()),
            majority: self.majority,
        };
        let (mut failed, mut failure) = (0, None);
        let mut patience = None;
        while let Some(answer) = before(clock, patience, answers.next()).await {
            match answer {
                Ok(Acquire::Acquired(guard)) => held.guards.push(guard),
                Ok(Acquire::Held { .. }) => {}
                Err(error) => {
                    failed += 1;
                    failure = Some(error);
                }
            }
            if held.guards.len() >= self.majority.get() {
                patience.get_or_insert_with(|| clock.now().after(GRACE));
            }
        }
        if held.guards.len() >= self.majority.get() && held.check().is_ok() {
            return Ok(Some(held));
        }
        held.release().await;
        match failure {
            Some(error) if self.locks.len() - failed < self.majority.get() => Err(error),
            Some(_) | None => Ok(None),
        }
    }
}

/// The next of what is awaited; `None` at the end, also that of the patience.
async fn before<T>(
    clock: &dyn Clock,
    patience: Option<Moment>,
    next: impl Future<Output = Option<T>>,
) -> Option<T> {
    let Some(end) = patience else {
        return next.await;
    };
    match select(pin!(next), clock.sleep_until(end)).await {
        Either::Left((next, _)) => next,
        Either::Right(_) => None,
    }
}

impl RedlockGuard {
    /// Ok while a majority is held.
    ///
    /// # Errors
    /// [`LockLost`] when it is not.
    pub fn check(&self) -> Result<(), LockLost> {
        let held = self.guards.iter().filter(|guard| !guard.is_lost()).count();
        match self.guards.first() {
            Some(guard) if held < self.majority.get() => Err(LockLost {
                name: guard.name().clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// When the majority is lost unless its locks are renewed before.
    pub fn deadline(&self) -> Moment {
        let mut deadlines: Vec<_> = self.guards.iter().map(LockGuard::deadline).collect();
        deadlines.sort_unstable();
        let first_to_end = deadlines.len().saturating_sub(self.majority.get());
        deadlines.get(first_to_end).copied().unwrap_or_default()
    }

    /// Completes when the majority is lost. Cancel safe.
    pub async fn lost(&self) {
        let mut losses: FuturesUnordered<_> = self.guards.iter().map(LockGuard::lost).collect();
        let mut held = self.guards.len();
        while held >= self.majority.get() && losses.next().await.is_some() {
            held -= 1;
        }
    }

    /// Releases the lock on every server that answers; on the others it ends with its ttl.
    ///
    /// Cancel safe: a dropped call releases in the background.
    pub async fn release(self) {
        for released in join_all(self.guards.into_iter().map(LockGuard::release)).await {
            if let Err(error) = released {
                tracing::debug!(%error, "one server did not release: its lease will expire");
            }
        }
    }
}
