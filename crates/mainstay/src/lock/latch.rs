//! Waits until so many have arrived.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Arrival, LatchStore};
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::key::{Key, Keyspace, Name, StoreKey};
use crate::ttl::Ttl;

/// How often a waiter looks by itself, since calls may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Opens when so many have counted it down, each once, over all processes.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use mainstay::lock::LatchWait;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let two = NonZeroU32::new(2).ok_or("zero")?;
/// let ready = mainstay::Mainstay::memory().latch("ready", two).build()?;
/// assert_eq!(ready.count_down("importer").await?, 1);
/// assert_eq!(ready.count_down("importer").await?, 1);
/// assert_eq!(ready.wait(Duration::ZERO).await?, LatchWait::Closed { left: 1 });
/// assert_eq!(ready.count_down("indexer").await?, 0);
/// assert_eq!(ready.wait(Duration::ZERO).await?, LatchWait::Open);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Latch {
    store: Arc<dyn LatchStore>,
    clock: Arc<dyn Clock>,
    name: Name,
    key: StoreKey,
    count: NonZeroU32,
    keep: Ttl,
}

/// Defines a [`Latch`]; made by [`Mainstay::latch`](crate::Mainstay::latch).
#[must_use]
pub struct LatchBuilder {
    store: Arc<dyn LatchStore>,
    clock: Arc<dyn Clock>,
    keyspace: Keyspace,
    name: String,
    count: NonZeroU32,
    keep: Duration,
}

/// What a wait has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum LatchWait {
    /// All have arrived.
    Open,
    /// Not all have.
    Closed {
        /// How many have not.
        left: u64,
    },
}

impl LatchBuilder {
    pub(crate) fn new(
        store: Arc<dyn LatchStore>,
        clock: Arc<dyn Clock>,
        keyspace: Keyspace,
        name: &str,
        count: NonZeroU32,
    ) -> Self {
        Self {
            store,
            clock,
            keyspace,
            name: name.to_owned(),
            count,
            keep: Duration::from_hours(24),
        }
    }

    /// How long arrivals are kept after the last; 1 ms to 10 years, default 24 h. After that the
    /// latch is as new.
    pub fn keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or the time out of its
    /// range.
    pub fn build(self) -> Result<Latch> {
        let name = Name::new(&self.name)?;
        Ok(Latch {
            key: self.keyspace.latch(&name),
            name,
            keep: Ttl::new(self.keep)?,
            store: self.store,
            clock: self.clock,
            count: self.count,
        })
    }
}

impl Latch {
    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Notes that `who` has arrived; how many have not. Who counts down again changes nothing.
    ///
    /// A dropped call may have taken effect; it is harmless to repeat.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when `who` is no [`Key`];
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn count_down(&self, who: &str) -> Result<u64> {
        let who = Key::new(who)?;
        let arrival = Arrival {
            who: who.as_str(),
            of: self.expected(),
            keep: self.keep,
        };
        let arrived = self.store.arrive(&self.key, &arrival).await?;
        Ok(self.expected().saturating_sub(arrived))
    }

    /// Waits until all have arrived, at most `wait`; zero asks only. Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer at the end
    /// of the wait.
    pub async fn wait(&self, wait: Duration) -> Result<LatchWait> {
        let end = self.clock.now().after(wait);
        let mut wakeups = None;
        loop {
            let looked = self.store.arrived(&self.key).await;
            let now = self.clock.now();
            match looked {
                Ok(arrived) if arrived >= self.expected() => return Ok(LatchWait::Open),
                Ok(arrived) if now >= end => {
                    let left = self.expected().saturating_sub(arrived);
                    return Ok(LatchWait::Closed { left });
                }
                Err(error) if now >= end || error.kind() != ErrorKind::Unavailable => {
                    return Err(error);
                }
                Ok(_) | Err(_) => {}
            }
            if wakeups.is_none()
                && let Ok(listening) = self.store.wakeups(&self.key).await
            {
                // Who arrived before this is seen by the next look.
                wakeups = Some(listening);
                continue;
            }
            let called = async {
                match &mut wakeups {
                    Some(wakeups) => wakeups.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = called => {}
                () = self.clock.sleep_until(now.after(LOOK_EVERY).min(end)) => {}
            }
        }
    }

    /// Forgets who has arrived: the latch is closed again.
    ///
    /// # Errors
    /// As [`count_down`](Self::count_down).
    pub async fn reset(&self) -> Result<()> {
        self.store.reset(&self.key).await
    }

    fn expected(&self) -> u64 {
        self.count.get().into()
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch")
            .field("name", &self.name)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatchBuilder")
            .field("name", &self.name)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
