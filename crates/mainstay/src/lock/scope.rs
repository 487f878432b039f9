//! Work that runs only while a lock is held.

use std::time::Duration;

use super::{Acquire, Lock, LockWatch, Release};
use crate::error::Result;

/// What became of work under a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum With<T> {
    /// It ended while the lock was held.
    Done(T),
    /// Another holds the lock; the work was not started.
    Held {
        /// As in [`Acquire::Held`].
        left: Option<Duration>,
        /// As in [`Acquire::Held`].
        holder: String,
    },
    /// The lock was lost before the work had ended, which was dropped then: `None`. Or it had
    /// ended when the lock turned out to be lost: what it gave.
    Lost(Option<T>),
}

impl Lock {
    /// Runs `work` under the lock, waiting for it at most `wait`; when the lock is lost, the work
    /// is dropped where it waits.
    ///
    /// Work that does not wait for anything is not interrupted: let it call
    /// [`check`](LockWatch::check), and let the resource check the [`fence`](LockWatch::fence). Cancel
    /// safe: a dropped call drops the work and releases the lock in the background.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::lock::With;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let lock = mainstay::Mainstay::memory().lock("report").build()?;
    /// let done = lock
    ///     .with(Duration::from_secs(1), |held| async move { held.check().is_ok() })
    ///     .await?;
    /// assert_eq!(done, With::Done(true));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire). An error of the release is none of the work: the lock then
    /// ends with its ttl.
    pub async fn with<T, W>(
        &self,
        wait: Duration,
        work: impl FnOnce(LockWatch) -> W,
    ) -> Result<With<T>>
    where
        W: Future<Output = T>,
    {
        let guard = match self.acquire(wait).await? {
            Acquire::Acquired(guard) => guard,
            Acquire::Held { left, holder } => return Ok(With::Held { left, holder }),
        };
        let done = tokio::select! {
            biased;
            () = guard.lost() => return Ok(With::Lost(None)),
            done = work(guard.watch()) => done,
        };
        let was_held = guard.check().is_ok();
        let released = guard.release().await;
        if let Err(error) = &released {
            tracing::warn!(lock = %self.name(), %error, "lock not released: its lease will expire");
        }
        Ok(match released {
            Ok(Release::Released) | Err(_) if was_held => With::Done(done),
            Ok(_) | Err(_) => With::Lost(Some(done)),
        })
    }
}
