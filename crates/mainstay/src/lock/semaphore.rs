//! Leases on some of many equal units.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::Release;
use super::builder::Terms;
use super::handle::{self, Acquire, Shared};
use super::inspect::{self, Holding, ShareInfo};
use crate::backend::Claim;
use crate::error::{Error, Result};
use crate::key::Name;

/// Lets at most so many work at once, over all processes.
///
/// Who has waited longest comes first, whatever they want: who asks for many units is not
/// overtaken by those who ask for few. The units of a holder that has died are free again when its
/// lease ends. Cheap to clone.
///
/// ```
/// use std::num::NonZeroU32;
/// use mainstay::lock::{Acquire, Release};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let two = NonZeroU32::new(2).ok_or("zero")?;
/// let imports = mainstay::Mainstay::memory().semaphore("imports", two).build()?;
/// let Acquire::Acquired(first) = imports.try_acquire().await? else {
///     return Err("nobody holds any".into());
/// };
/// let Acquire::Acquired(_second) = imports.try_acquire().await? else {
///     return Err("one of two is free".into());
/// };
/// assert!(matches!(imports.try_acquire().await?, Acquire::Held { .. }));
/// assert_eq!(first.release().await?, Release::Released);
/// assert_eq!(imports.inspect().await?.holdings.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Semaphore(Arc<Shared>);

/// Defines a [`Semaphore`]; made by [`Mainstay::semaphore`](crate::Mainstay::semaphore).
#[must_use]
pub struct SemaphoreBuilder {
    terms: Terms,
    name: String,
    units: NonZeroU32,
}

/// More holders than this make each acquisition slow: the server counts them.
const UNITS_MAX: u32 = 10_000;

impl SemaphoreBuilder {
    pub(crate) fn new(terms: Terms, name: &str, units: NonZeroU32) -> Self {
        Self {
            terms,
            name: name.to_owned(),
            units,
        }
    }

    /// How long a lease lasts unless it is renewed, and so how long a crashed holder keeps its
    /// units; 100 ms to 24 h, default 30 s.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = ttl;
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`], the ttl is out of its
    /// range, or there are more than 10,000 units.
    pub fn build(self) -> Result<Semaphore> {
        if self.units.get() > UNITS_MAX {
            return Err(Error::invalid(format!(
                "units of a semaphore must be between 1 and {UNITS_MAX}"
            )));
        }
        let name = Name::new(&self.name)?;
        let key = self.terms.keyspace.semaphore(&name);
        let claim = Claim {
            units: NonZeroU32::MIN,
            of: self.units,
        };
        let shared = self.terms.shared(name, key, claim)?;
        Ok(Semaphore(Arc::new(shared)))
    }
}

impl Semaphore {
    /// The name.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// How many units there are, as this handle was told. Processes that were told other numbers
    /// are each let in only while all units held fit into their own.
    pub fn size(&self) -> NonZeroU32 {
        self.0.claim.of
    }

    /// Takes one unit if it is free and nobody waits for one.
    ///
    /// Cancel safe: what a dropped call has taken is released in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn try_acquire(&self) -> Result<Acquire> {
        self.acquire(Duration::ZERO).await
    }

    /// Takes one unit, waiting at most `wait`. Cancel safe.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub async fn acquire(&self, wait: Duration) -> Result<Acquire> {
        handle::acquire(&self.0, wait).await
    }

    /// Takes several units at once or none, waiting at most `wait`. Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for more units than there are; and as
    /// [`try_acquire`](Self::try_acquire).
    pub async fn acquire_many(&self, units: NonZeroU32, wait: Duration) -> Result<Acquire> {
        let of = self.0.claim.of;
        if units > of {
            return Err(Error::invalid(format!(
                "{units} units were asked for: semaphore {} has {of}",
                self.0.name
            )));
        }
        let wanted = Arc::new(Shared {
            claim: Claim { units, of },
            ..(*self.0).clone()
        });
        handle::acquire(&wanted, wait).await
    }

    /// Who holds units, how many wait, and when one was last force-released. Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn inspect(&self) -> Result<ShareInfo> {
        inspect::inspect(&self.0).await
    }

    /// Ends a hold that was seen, as [`Lock::force_release`](super::Lock::force_release) does.
    ///
    /// # Errors
    /// As there.
    pub async fn force_release(&self, seen: &Holding, reason: &str) -> Result<Release> {
        inspect::force_release(&self.0, seen, reason).await
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("name", &self.0.name)
            .field("units", &self.0.claim.of)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SemaphoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphoreBuilder")
            .field("name", &self.name)
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}
