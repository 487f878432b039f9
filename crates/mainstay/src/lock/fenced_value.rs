//! A value that only the latest holder of a lock may write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Fence;
use crate::backend::{FencedSet, FencedStore};
use crate::error::{Error, Result};
use crate::key::{Keyspace, Name, StoreKey};
use crate::ttl::Ttl;

/// The largest value, in bytes.
const VALUE_MAX: usize = 8 << 20;

/// A value in the store that keeps the largest fence it was written with, and refuses smaller
/// ones: what a holder writes that does not know yet that it has lost its lock.
///
/// This is the check that makes a lock safe, for state that can live in the store; a database does
/// it with `UPDATE .. WHERE fence <= $1`. Cheap to clone.
///
/// ```
/// use mainstay::lock::{Acquire, FencedWrite};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let stay = mainstay::Mainstay::memory();
/// let (lock, ledger) = (stay.lock("ledger").build()?, stay.fenced_value("ledger").build()?);
/// let Acquire::Acquired(first) = lock.try_acquire().await? else {
///     panic!("nobody else holds it");
/// };
/// let stale = first.fence();
/// first.release().await?;
/// let Acquire::Acquired(second) = lock.try_acquire().await? else {
///     panic!("it was released");
/// };
/// assert_eq!(ledger.set(second.fence(), "2 items").await?, FencedWrite::Written);
/// let refused = ledger.set(stale, "1 item").await?;
/// assert_eq!(refused, FencedWrite::Refused { fence: second.fence() });
/// assert_eq!(ledger.get().await?.map(|kept| kept.value), Some("2 items".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FencedValue {
    store: Arc<dyn FencedStore>,
    name: Name,
    key: StoreKey,
    keep: Ttl,
}

/// Defines a [`FencedValue`]; made by [`Mainstay::fenced_value`](crate::Mainstay::fenced_value).
#[must_use]
pub struct FencedValueBuilder {
    store: Arc<dyn FencedStore>,
    keyspace: Keyspace,
    name: String,
    keep: Duration,
}

/// Whether a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum FencedWrite {
    /// It was.
    Written,
    /// A later holder has written it; nothing changed. The lock of the caller is lost.
    Refused {
        /// That holder's fence.
        fence: Fence,
    },
}

/// A value and the fence it was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fenced {
    /// The fence.
    pub fence: Fence,
    /// The value.
    pub value: Bytes,
}

impl FencedValueBuilder {
    pub(crate) fn new(store: Arc<dyn FencedStore>, keyspace: Keyspace, name: &str) -> Self {
        Self {
            store,
            keyspace,
            name: name.to_owned(),
            keep: Duration::from_hours(30 * 24),
        }
    }

    /// How long value and fence are kept after the last write; 1 ms to 10 years, default 30 days.
    /// After that any fence is accepted: make it longer than a holder can be suspended.
    pub fn keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or the time out of its
    /// range.
    pub fn build(self) -> Result<FencedValue> {
        let name = Name::new(&self.name)?;
        Ok(FencedValue {
            key: self.keyspace.fenced(&name),
            name,
            keep: Ttl::new(self.keep)?,
            store: self.store,
        })
    }
}

impl FencedValue {
    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Writes the value unless a later holder has. With the same fence it may be written again.
    ///
    /// A dropped call may have taken effect. It is not sent again when its reply is lost, as it
    /// could then undo a later write of the same holder.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for more than 8 MiB;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when nothing was sent,
    /// [`Unknown`](crate::ErrorKind::Unknown) when the reply was lost.
    pub async fn set(&self, fence: Fence, value: impl Into<Bytes>) -> Result<FencedWrite> {
        let value = value.into();
        if value.len() > VALUE_MAX {
            return Err(Error::invalid(format!(
                "a fenced value has at most {VALUE_MAX} bytes, not {}",
                value.len()
            )));
        }
        let set = self.store.set(&self.key, fence.get(), value, self.keep);
        Ok(match set.await? {
            FencedSet::Written => FencedWrite::Written,
            FencedSet::Refused { fence } => FencedWrite::Refused {
                fence: Fence::from(fence),
            },
        })
    }

    /// The value, if it was ever written. Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn get(&self) -> Result<Option<Fenced>> {
        let found = self.store.get(&self.key).await?;
        Ok(found.map(|(fence, value)| Fenced {
            fence: Fence::from(fence),
            value,
        }))
    }
}

impl fmt::Debug for FencedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FencedValue")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FencedValueBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FencedValueBuilder")
            .field("name", &self.name)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
