//! What a lock is called and how long its lease lasts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::handle::{Lock, Shared};
use super::holder;
use super::keeper::Keeper;
use crate::backend::{Claim, LockStore};
use crate::error::{Error, Result};
use crate::key::{Keyspace, Name, StoreKey};
use crate::ttl::Ttl;

/// Defines a [`Lock`]; made by [`Mainstay::lock`](crate::Mainstay::lock).
#[must_use]
pub struct LockBuilder {
    terms: Terms,
    name: String,
}

/// What all kinds of locks have in common.
#[derive(Clone)]
pub(crate) struct Terms {
    keeper: Arc<Keeper>,
    pub(super) keyspace: Keyspace,
    command_timeout: Duration,
    pub(super) ttl: Duration,
    replicas: u32,
}

impl Terms {
    const TTL_MIN: Duration = Duration::from_millis(100);
    const TTL_MAX: Duration = Duration::from_hours(24);

    pub(crate) fn new(keeper: Arc<Keeper>, keyspace: Keyspace, command_timeout: Duration) -> Self {
        Self {
            keeper,
            keyspace,
            command_timeout,
            ttl: Duration::from_secs(30),
            replicas: 0,
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn LockStore> {
        &self.keeper.store
    }

    pub(super) fn shared(&self, name: Name, key: StoreKey, claim: Claim) -> Result<Shared> {
        if self.ttl < Self::TTL_MIN || self.ttl > Self::TTL_MAX {
            return Err(Error::invalid(
                "ttl of a lock must be between 100 ms and 24 h",
            ));
        }
        Ok(Shared {
            key,
            name,
            ttl: Ttl::new(self.ttl)?,
            claim,
            replicas: self.replicas,
            store: Arc::clone(self.store()),
            clock: Arc::clone(&self.keeper.clock),
            keeper: Arc::clone(&self.keeper),
            command_timeout: self.command_timeout,
            holder: holder::name(),
        })
    }

    pub(super) fn lock(&self, name: &str) -> Result<Lock> {
        let name = Name::new(name)?;
        let key = self.keyspace.lock(&name);
        Ok(Lock::new(self.shared(name, key, Claim::WHOLE)?))
    }
}

impl LockBuilder {
    pub(crate) fn new(terms: Terms, name: &str) -> Self {
        Self {
            terms,
            name: name.to_owned(),
        }
    }

    /// How long a lease lasts unless it is renewed, and so how long a crashed holder keeps
    /// others out; 100 ms to 24 h, default 30 s.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = ttl;
        self
    }

    /// How many replicas must have the lock before it counts as acquired (`WAIT`); default none.
    ///
    /// An acquisition that they do not acknowledge within the command timeout is released, and fails
    /// with [`Unavailable`](crate::ErrorKind::Unavailable). A failover to a replica that is not among
    /// them can lose the lock all the same, and renewals are not waited for: this narrows the gap,
    /// the fence closes it. On the memory backend, which has no replicas, acquiring fails with
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.terms.replicas = replicas;
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or the ttl is out of
    /// its range.
    pub fn build(self) -> Result<Lock> {
        self.terms.lock(&self.name)
    }
}

impl fmt::Debug for LockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockBuilder")
            .field("name", &self.name)
            .field("ttl", &self.terms.ttl)
            .finish_non_exhaustive()
    }
}
