//! A held lock that renews itself.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::attempt::Taken;
use super::handle::Shared;
use super::orphan;
use super::renewal::{self, Tenure};
use super::{Fence, Release};
use crate::clock::Moment;
use crate::error::Result;
use crate::key::Name;

/// A held lock; renewed by a task every third of the ttl, released when dropped.
///
/// The lock is lost when the store says that it is another's, and at the
/// [`deadline`](Self::deadline) even if the store says nothing. Work should stop then: race it
/// against [`lost`](Self::lost), or [`check`](Self::check) before each step. A drop releases in
/// the background, for at most the command timeout; [`release`](Self::release) tells the outcome.
#[must_use = "a dropped guard releases its lock"]
pub struct LockGuard {
    lock: Arc<Shared>,
    owner: String,
    fence: Fence,
    tenure: watch::Receiver<Tenure>,
    renewal: JoinHandle<()>,
    duty: Duty,
}

/// What a drop has to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duty {
    Release,
    Nothing,
}

/// The lock is not the guard's any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lock {name} is lost")]
#[non_exhaustive]
pub struct LockLost {
    /// The lock's name.
    pub name: Name,
}

impl LockGuard {
    pub(super) fn start(lock: Arc<Shared>, taken: Taken) -> Self {
        let (sender, tenure) = watch::channel(Tenure {
            deadline: taken.deadline,
            lost: false,
        });
        let renewal = renewal::keep(Arc::clone(&lock), taken.owner.clone(), sender);
        Self {
            lock,
            owner: taken.owner,
            fence: taken.fence,
            tenure,
            renewal: tokio::spawn(renewal),
            duty: Duty::Release,
        }
    }

    /// The number to send with every write.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// When the lock is lost unless it is renewed before: the ttl after the last renewal was
    /// sent, less 1 % and 2 ms.
    pub fn deadline(&self) -> Moment {
        self.tenure.borrow().deadline
    }

    /// Ok while the lock is held.
    ///
    /// # Errors
    /// [`LockLost`] when it is not.
    pub fn check(&self) -> Result<(), LockLost> {
        if self.is_lost() {
            return Err(LockLost {
                name: self.lock.name.clone(),
            });
        }
        Ok(())
    }

    /// Whether the lock is lost.
    pub fn is_lost(&self) -> bool {
        let tenure = *self.tenure.borrow();
        tenure.lost || self.lock.clock.now() >= tenure.deadline
    }

    /// Completes when the lock is lost. Cancel safe.
    ///
    /// ```
    /// use mainstay::lock::Acquire;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let lock = mainstay::Mainstay::memory().lock("report").build()?;
    /// let Acquire::Acquired(guard) = lock.try_acquire().await? else {
    ///     panic!("nobody else holds it");
    /// };
    /// let done = tokio::select! {
    ///     () = guard.lost() => false,
    ///     () = async { /* the work */ } => true,
    /// };
    /// assert!(done);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lost(&self) {
        let mut tenure = self.tenure.clone();
        loop {
            let now = *tenure.borrow_and_update();
            if now.lost || self.lock.clock.now() >= now.deadline {
                return;
            }
            tokio::select! {
                Ok(()) = tenure.changed() => {}
                () = self.lock.clock.sleep_until(now.deadline) => {}
            }
        }
    }

    /// Releases the lock and tells whether it was still held.
    ///
    /// Cancel safe: a dropped call releases in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer; it is tried once more in the background.
    pub async fn release(mut self) -> Result<Release> {
        self.renewal.abort();
        let released = self.lock.store.release(&self.lock.key, &self.owner).await?;
        self.duty = Duty::Nothing;
        Ok(released.into())
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.renewal.abort();
        if self.duty == Duty::Release {
            orphan::release(Arc::clone(&self.lock), std::mem::take(&mut self.owner));
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("name", &self.lock.name)
            .field("fence", &self.fence)
            .field("tenure", &*self.tenure.borrow())
            .finish_non_exhaustive()
    }
}
