//! One named lock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{self, Attempt};
use super::guard::LockGuard;
use super::keeper::Keeper;
use super::lease::{self, LeaseAttempt, LockLease, Release};
use crate::backend::{self, Claim, LockStore, Renewal};
use crate::clock::Clock;
use crate::error::Result;
use crate::key::{Name, StoreKey};
use crate::ttl::Ttl;

/// A named lock, which one holder at a time has.
///
/// Cheap to clone. Two handles, clones included, exclude each other: it is not reentrant.
#[derive(Clone)]
pub struct Lock(Arc<Shared>);

/// What a lock, its guards and their tasks share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) name: Name,
    pub(super) key: StoreKey,
    pub(super) ttl: Ttl,
    pub(super) claim: Claim,
    /// How many must have it before it counts as acquired.
    pub(super) replicas: u32,
    pub(super) store: Arc<dyn LockStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) command_timeout: Duration,
    pub(super) holder: &'static str,
}

/// Whether a lock was acquired.
#[derive(Debug)]
#[must_use]
pub enum Acquire {
    /// It is held as long as the guard lives and is not lost.
    Acquired(LockGuard),
    /// Another holds it.
    Held {
        /// Until its lease ends unless it is renewed; `None` for a foreign value without an end.
        left: Option<Duration>,
        /// Who holds it, as `host:pid`; empty for a foreign value, and for one who is about to take
        /// it after waiting.
        holder: String,
    },
}

impl Lock {
    pub(super) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Takes the lock if it is free and nobody waits for it.
    ///
    /// A lost reply is asked for again for at most the command timeout. Cancel safe: what a
    /// dropped call has taken is released in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn try_acquire(&self) -> Result<Acquire> {
        self.acquire(Duration::ZERO).await
    }

    /// Takes the lock, waiting at most `wait` for it to become free.
    ///
    /// Who has waited longest comes first, over all processes, and is called when the lock becomes
    /// free; a waiter that dies holds the others up for at most a second. Cancel safe, as
    /// [`try_acquire`](Self::try_acquire).
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer within the wait and the command timeout.
    pub async fn acquire(&self, wait: Duration) -> Result<Acquire> {
        acquire(&self.0, wait).await
    }

    /// As [`acquire`](Self::acquire), for a caller that renews by itself with the lease's token.
    ///
    /// Cancel safe, as [`try_acquire`](Self::try_acquire).
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::lock::{LeaseAttempt, Release};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lock = mainstay::Mainstay::memory().lock("report").build()?;
    /// let LeaseAttempt::Leased(lease) = lock.lease(Duration::ZERO).await? else {
    ///     panic!("nobody else holds it");
    /// };
    /// let renewed = lock.renew(&lease.token).await?.ok_or("lost")?;
    /// assert_eq!(renewed.fence, lease.fence);
    /// assert_eq!(lock.release(&lease.token).await?, Release::Released);
    /// assert!(lock.renew(&lease.token).await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn lease(&self, wait: Duration) -> Result<LeaseAttempt> {
        Ok(match attempt::run(&self.0, wait).await? {
            Attempt::Taken(taken) => LeaseAttempt::Leased(LockLease {
                token: taken.owner,
                fence: taken.fence,
                expires_in: taken.deadline.since(self.0.clock.now()),
            }),
            Attempt::Held { left, holder } => LeaseAttempt::Held { left, holder },
        })
    }

    /// Extends the lease with this token to a full ttl from now; `None` if it has ended.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a token that cannot be one;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer: the lease may still be held until it expires.
    pub async fn renew(&self, token: &str) -> Result<Option<LockLease>> {
        lease::check_token(token)?;
        let lock = &*self.0;
        let sent = lock.clock.now();
        let lease = backend::LockLease {
            key: &lock.key,
            owner: token,
            ttl: lock.ttl,
        };
        let renewed = lock.store.renew(&[lease]).await.pop();
        Ok(match renewed.unwrap_or(Ok(Renewal::NotHeld))? {
            Renewal::Renewed { fence } => Some(LockLease::new(token, fence, lock.left_since(sent))),
            Renewal::NotHeld => None,
        })
    }

    /// Ends the lease with this token and wakes those who wait.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    pub async fn release(&self, token: &str) -> Result<Release> {
        lease::check_token(token)?;
        let released = self.0.store.release(&self.0.key, token).await?;
        Ok(released.into())
    }
}

/// Takes what is claimed, to be renewed while its guard lives.
pub(super) async fn acquire(lock: &Arc<Shared>, wait: Duration) -> Result<Acquire> {
    Ok(match attempt::run(lock, wait).await? {
        Attempt::Taken(taken) => Acquire::Acquired(LockGuard::start(Arc::clone(lock), taken)),
        Attempt::Held { left, holder } => Acquire::Held { left, holder },
    })
}

impl Shared {
    fn left_since(&self, sent: crate::clock::Moment) -> Duration {
        super::validity::deadline(sent, self.ttl).since(self.clock.now())
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("name", &self.0.name)
            .field("ttl", &self.0.ttl)
            .finish_non_exhaustive()
    }
}
