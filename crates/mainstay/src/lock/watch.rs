//! What the work under a lock may know of it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::Fence;
use super::handle::Shared;
use super::keeper::Tenure;
use crate::clock::Moment;
use crate::error::Result;
use crate::key::Name;

/// Tells whether a lock is still held; does not hold it.
///
/// Cheap to clone, to be handed to whatever works under the lock.
#[derive(Clone)]
pub struct LockWatch {
    lock: Arc<Shared>,
    fence: Fence,
    tenure: watch::Receiver<Tenure>,
}

/// The lock is not the guard's any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lock {name} is lost")]
#[non_exhaustive]
pub struct LockLost {
    /// The lock's name.
    pub name: Name,
}

impl LockWatch {
    pub(super) fn new(lock: Arc<Shared>, fence: Fence, tenure: watch::Receiver<Tenure>) -> Self {
        Self {
            lock,
            fence,
            tenure,
        }
    }

    /// The lock's name.
    pub fn name(&self) -> &Name {
        &self.lock.name
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
    /// [`LockLost`] when it is not, be it lost or released.
    pub fn check(&self) -> Result<(), LockLost> {
        if self.is_lost() {
            return Err(LockLost {
                name: self.lock.name.clone(),
            });
        }
        Ok(())
    }

    /// Whether the lock is lost, or released.
    pub fn is_lost(&self) -> bool {
        let tenure = *self.tenure.borrow();
        let is_kept = self.tenure.has_changed().is_ok();
        !is_kept || tenure.lost || self.lock.clock.now() >= tenure.deadline
    }

    /// Completes when the lock is lost or released. Cancel safe.
    pub async fn lost(&self) {
        let mut tenure = self.tenure.clone();
        loop {
            let now = *tenure.borrow_and_update();
            if now.lost || self.lock.clock.now() >= now.deadline {
                return;
            }
            tokio::select! {
                changed = tenure.changed() => if changed.is_err() {
                    return;
                },
                () = self.lock.clock.sleep_until(now.deadline) => {}
            }
        }
    }
}

impl fmt::Debug for LockWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockWatch")
            .field("name", &self.lock.name)
            .field("fence", &self.fence)
            .field("tenure", &*self.tenure.borrow())
            .finish_non_exhaustive()
    }
}
