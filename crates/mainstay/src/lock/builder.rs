//! What a lock is called and how long its lease lasts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::handle::{Lock, Shared};
use super::holder;
use crate::backend::LockStore;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::key::{Keyspace, Name};
use crate::ttl::Ttl;

/// Defines a [`Lock`]; made by [`Mainstay::lock`](crate::Mainstay::lock).
#[must_use]
pub struct LockBuilder {
    store: Arc<dyn LockStore>,
    keyspace: Keyspace,
    clock: Arc<dyn Clock>,
    command_timeout: Duration,
    name: String,
    ttl: Duration,
}

impl LockBuilder {
    const TTL_MIN: Duration = Duration::from_millis(100);
    const TTL_MAX: Duration = Duration::from_hours(24);

    pub(crate) fn new(
        store: Arc<dyn LockStore>,
        keyspace: Keyspace,
        clock: Arc<dyn Clock>,
        command_timeout: Duration,
        name: &str,
    ) -> Self {
        Self {
            store,
            keyspace,
            clock,
            command_timeout,
            name: name.to_owned(),
            ttl: Duration::from_secs(30),
        }
    }

    /// How long a lease lasts unless it is renewed, and so how long a crashed holder keeps
    /// others out; 100 ms to 24 h, default 30 s.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or the ttl is out of
    /// its range.
    pub fn build(self) -> Result<Lock> {
        let name = Name::new(&self.name)?;
        if self.ttl < Self::TTL_MIN || self.ttl > Self::TTL_MAX {
            return Err(Error::invalid(
                "ttl of a lock must be between 100 ms and 24 h",
            ));
        }
        Ok(Lock::new(Shared {
            key: self.keyspace.lock(&name),
            name,
            ttl: Ttl::new(self.ttl)?,
            store: self.store,
            clock: self.clock,
            command_timeout: self.command_timeout,
            holder: holder::name(),
        }))
    }
}

impl fmt::Debug for LockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockBuilder")
            .field("name", &self.name)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
