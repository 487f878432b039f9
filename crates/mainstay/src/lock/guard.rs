//! A held lock that is renewed.

use std::fmt;
use std::sync::Arc;

use super::attempt::Taken;
use super::handle::Shared;
use super::keeper::Keeping;
use super::orphan;
use super::watch::{LockLost, LockWatch};
use super::{Fence, Release};
use crate::clock::Moment;
use crate::error::Result;
use crate::key::Name;

/// A held lock, or units of a semaphore; renewed every third of the ttl, released when dropped.
///
/// The lock is lost when the store says that it is another's, and at the
/// [`deadline`](Self::deadline) even if the store says nothing. Work should stop then: race it
/// against [`lost`](Self::lost), or [`check`](Self::check) before each step. A drop releases in
/// the background, for at most the command timeout; [`release`](Self::release) tells the outcome.
#[must_use = "a dropped guard releases its lock"]
pub struct LockGuard {
    lock: Arc<Shared>,
    owner: String,
    watch: LockWatch,
    keeping: Option<Keeping>,
}

impl LockGuard {
    pub(super) fn start(lock: Arc<Shared>, taken: Taken) -> Self {
        let (keeping, tenure) = lock.keeper.keep(&lock, &taken);
        Self {
            watch: LockWatch::new(Arc::clone(&lock), taken.fence, tenure),
            lock,
            owner: taken.owner,
            keeping: Some(keeping),
        }
    }

    /// The lock's name.
    pub fn name(&self) -> &Name {
        self.watch.name()
    }

    /// The number to send with every write.
    pub fn fence(&self) -> Fence {
        self.watch.fence()
    }

    /// When the lock is lost unless it is renewed before: the ttl after the last renewal was
    /// sent, less 1 % and 2 ms.
    pub fn deadline(&self) -> Moment {
        self.watch.deadline()
    }

    /// Ok while the lock is held.
    ///
    /// # Errors
    /// [`LockLost`] when it is not.
    pub fn check(&self) -> Result<(), LockLost> {
        self.watch.check()
    }

    /// Whether the lock is lost.
    pub fn is_lost(&self) -> bool {
        self.watch.is_lost()
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
        self.watch.lost().await;
    }

    /// For others who must know whether the lock is held; it ends with the guard.
    pub fn watch(&self) -> LockWatch {
        self.watch.clone()
    }

    /// Releases the lock and tells whether it was still held.
    ///
    /// Cancel safe: a dropped call releases in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer; it is tried once more in the background.
    pub async fn release(mut self) -> Result<Release> {
        self.keeping = None;
        let released = self.lock.store.release(&self.lock.key, &self.owner).await?;
        self.owner.clear();
        Ok(released.into())
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.keeping = None;
        let owner = std::mem::take(&mut self.owner);
        if !owner.is_empty() {
            orphan::release(Arc::clone(&self.lock), owner);
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}
