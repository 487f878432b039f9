//! Who holds a lock; and ending a hold that its holder does not end.

use std::fmt;
use std::time::Duration;

use super::handle::Shared;
use super::{Fence, Lock, Release, metrics};
use crate::backend::{BreakOrder, HolderView};
use crate::error::{Error, Result};

/// The longest reason for a forced release, in bytes.
const LONGEST_REASON: usize = 500;

/// What is known of a lock; the answer of [`Lock::inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockInfo {
    /// Who holds it; `None` while it is free.
    pub holding: Option<Holding>,
    /// How many wait for it.
    pub waiting: u64,
    /// The last forced release, if there was one in the last 7 days.
    pub last_break: Option<LockBreak>,
}

/// What is known of what several may hold; the answer of
/// [`Semaphore::inspect`](super::Semaphore::inspect).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareInfo {
    /// Who holds units of it, whose lease ends first coming first; the first 1000.
    pub holdings: Vec<Holding>,
    /// How many wait for it.
    pub waiting: u64,
    /// The last forced release, if there was one in the last 7 days.
    pub last_break: Option<LockBreak>,
}

/// One holder's hold on a lock, as it was seen.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holding {
    /// Who holds it, as `host:pid`; empty for a foreign value.
    pub holder: String,
    /// The holder's fence; `None` for a foreign value.
    pub fence: Option<Fence>,
    /// Until the lease ends unless it is renewed; `None` for a foreign value without an end.
    pub left: Option<Duration>,
    /// Since when it is held, on the store's clock; `None` for a foreign value.
    pub held_for: Option<Duration>,
    token: String,
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding")
            .field("holder", &self.holder)
            .field("fence", &self.fence)
            .field("left", &self.left)
            .field("held_for", &self.held_for)
            .finish_non_exhaustive()
    }
}

/// A forced release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockBreak {
    /// How long ago it was.
    pub ago: Duration,
    /// Which process did it, as `host:pid`.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Lock {
    /// Who holds the lock, how many wait, and when it was last force-released. Cancel safe.
    ///
    /// ```
    /// use mainstay::lock::{Acquire, Release};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let lock = mainstay::Mainstay::memory().lock("report").build()?;
    /// let Acquire::Acquired(guard) = lock.try_acquire().await? else {
    ///     panic!("nobody else holds it");
    /// };
    /// let seen = lock.inspect().await?.holding.expect("it is held");
    /// assert_eq!(seen.fence, Some(guard.fence()));
    ///
    /// let ended = lock.force_release(&seen, "its host hangs").await?;
    /// assert_eq!(ended, Release::Released);
    /// assert!(lock.inspect().await?.holding.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn inspect(&self) -> Result<LockInfo> {
        let seen = inspect(self.shared()).await?;
        Ok(LockInfo {
            holding: seen.holdings.into_iter().next(),
            waiting: seen.waiting,
            last_break: seen.last_break,
        })
    }

    /// Ends a hold that was [seen](Self::inspect), whoever has it, and wakes who comes next;
    /// [`NotHeld`](Release::NotHeld) when it has ended meanwhile.
    ///
    /// For people who know that the holder is gone or must stop. The holder learns that the lock is
    /// lost when it renews, a third of its ttl later at the latest: until then two may work at
    /// once, and only the fence keeps the first one out. Who ended it, and why, is logged, counted
    /// in `mainstay_lock_broken_total`, and told by [`inspect`](Self::inspect) for 7 days. A dropped
    /// call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a reason that is empty or longer than 500 bytes;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn force_release(&self, seen: &Holding, reason: &str) -> Result<Release> {
        force_release(self.shared(), seen, reason).await
    }
}

pub(super) async fn inspect(lock: &Shared) -> Result<ShareInfo> {
    let view = lock.store.inspect(&lock.key).await?;
    let holding = |seen: HolderView| Holding {
        holder: seen.holder,
        fence: seen.fence.map(Fence::from),
        left: seen.left,
        held_for: seen.held_for,
        token: seen.owner,
    };
    let broken = |(ago, by, reason)| LockBreak { ago, by, reason };
    Ok(ShareInfo {
        holdings: view.holders.into_iter().map(holding).collect(),
        waiting: view.waiting,
        last_break: view.broken.map(broken),
    })
}

pub(super) async fn force_release(lock: &Shared, seen: &Holding, reason: &str) -> Result<Release> {
    if reason.trim().is_empty() || reason.len() > LONGEST_REASON {
        return Err(Error::invalid(format!(
            "reason of a forced release must have 1 to {LONGEST_REASON} bytes"
        )));
    }
    let order = BreakOrder {
        owner: &seen.token,
        by: lock.holder,
        reason,
    };
    let released = lock.store.break_hold(&lock.key, &order).await?.into();
    if released == Release::Released {
        tracing::warn!(
            lock = %lock.name,
            holder = %seen.holder,
            fence = seen.fence.map(Fence::get),
            by = %lock.holder,
            reason,
            "lock was force-released"
        );
        metrics::broken(&lock.name);
    }
    Ok(released)
}
