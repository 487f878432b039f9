//! Many readers, or one writer.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::Release;
use super::builder::Terms;
use super::handle::{self, Acquire, Shared};
use super::inspect::{self, Holding, ShareInfo};
use crate::backend::Claim;
use crate::error::Result;
use crate::key::Name;

/// A lock that many may hold to read, or one to write.
///
/// All come in the order in which they asked: a reader does not overtake a writer who waits, so
/// that writers are not starved. Neither kind can be turned into the other. Cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use mainstay::lock::Acquire;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let prices = mainstay::Mainstay::memory().read_write_lock("prices").build()?;
/// let Acquire::Acquired(_reader) = prices.read(Duration::ZERO).await? else {
///     panic!("nobody writes");
/// };
/// assert!(matches!(prices.read(Duration::ZERO).await?, Acquire::Acquired(_)));
/// assert!(matches!(prices.write(Duration::ZERO).await?, Acquire::Held { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReadWriteLock {
    read: Arc<Shared>,
    write: Arc<Shared>,
}

/// Defines a [`ReadWriteLock`]; made by
/// [`Mainstay::read_write_lock`](crate::Mainstay::read_write_lock).
#[must_use]
pub struct ReadWriteLockBuilder {
    terms: Terms,
    name: String,
}

/// A reader holds one unit, a writer all: no more than so many read at once.
const READERS_MAX: NonZeroU32 = NonZeroU32::new(10_000).expect("invariant: not zero");

impl ReadWriteLockBuilder {
    pub(crate) fn new(terms: Terms, name: &str) -> Self {
        Self {
            terms,
            name: name.to_owned(),
        }
    }

    /// How long a lease lasts unless it is renewed, and so how long a crashed holder keeps others
    /// out; 100 ms to 24 h, default 30 s.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = ttl;
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or the ttl is out of
    /// its range.
    pub fn build(self) -> Result<ReadWriteLock> {
        let name = Name::new(&self.name)?;
        let key = self.terms.keyspace.read_write_lock(&name);
        let claim = |units| Claim {
            units,
            of: READERS_MAX,
        };
        let read = self.terms.shared(name, key, claim(NonZeroU32::MIN))?;
        let write = Shared {
            claim: claim(READERS_MAX),
            ..read.clone()
        };
        Ok(ReadWriteLock {
            read: Arc::new(read),
            write: Arc::new(write),
        })
    }
}

impl ReadWriteLock {
    /// The name.
    pub fn name(&self) -> &Name {
        &self.read.name
    }

    /// Takes the lock to read, beside at most 9,999 others, waiting at most `wait`.
    ///
    /// Cancel safe: what a dropped call has taken is released in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn read(&self, wait: Duration) -> Result<Acquire> {
        handle::acquire(&self.read, wait).await
    }

    /// Takes the lock to write, alone, waiting at most `wait`. Cancel safe.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn write(&self, wait: Duration) -> Result<Acquire> {
        handle::acquire(&self.write, wait).await
    }

    /// Who reads or writes, and how many wait. Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn inspect(&self) -> Result<ShareInfo> {
        inspect::inspect(&self.read).await
    }

    /// Ends a hold that was seen, as [`Lock::force_release`](super::Lock::force_release) does.
    ///
    /// # Errors
    /// As there.
    pub async fn force_release(&self, seen: &Holding, reason: &str) -> Result<Release> {
        inspect::force_release(&self.read, seen, reason).await
    }
}

impl fmt::Debug for ReadWriteLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadWriteLock")
            .field("name", &self.read.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReadWriteLockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadWriteLockBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
