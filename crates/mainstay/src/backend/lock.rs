//! Contract of the lock store.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Keeps leases on names.
///
/// # Behaviour
/// - At most one owner holds a name at a time by the store's clock.
/// - Every new holder gets a fence above all earlier ones of that name. A fence is at least the
///   store's clock in microseconds, so it keeps rising after the store has lost its data, unless
///   the clock steps back by more than the outage.
/// - `acquire` by the holder extends the lease and answers the same fence, so a lost reply is
///   safe to ask for again; `release` by the last released owner answers `Released` again.
/// - A plain value that another program set under the name (`SET lock:name token NX PX ttl`)
///   counts as held, and keeps that program out while we hold the name.
#[async_trait]
pub trait LockStore: Send + Sync {
    /// Takes the name if it is free.
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry>;

    /// Extends the holder's lease; never takes a free name.
    async fn renew(&self, key: &StoreKey, owner: &str, ttl: Ttl) -> Result<Renewal>;

    /// Ends the holder's lease and wakes those who wait.
    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease>;

    /// Starts to listen for releases of a name; a waiter tries once more before it waits.
    async fn wakeups(&self, key: &StoreKey) -> Result<Box<dyn Wakeups>>;
}

/// What an acquisition writes.
#[derive(Debug, Clone, Copy)]
pub struct Hold<'a> {
    /// Random text that is new for each acquisition.
    pub owner: &'a str,
    /// How long the lease lasts unless it is renewed.
    pub ttl: Ttl,
    /// Who holds it, for people: host and process.
    pub holder: &'a str,
}

/// Answer of [`LockStore::acquire`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockTry {
    /// Held by the caller.
    Acquired {
        /// Rises with every new holder.
        fence: u64,
    },
    /// Held by another.
    Held {
        /// Until the lease ends unless it is renewed; `None` for a foreign value without an end.
        left: Option<Duration>,
        /// Who holds it, as the holder said; empty for a foreign value.
        holder: String,
    },
}

/// Answer of [`LockStore::renew`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewal {
    /// Extended.
    Renewed {
        /// The fence of this holder.
        fence: u64,
    },
    /// Not the caller's (any more).
    NotHeld,
}

/// Answer of [`LockStore::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockRelease {
    /// It was the caller's and is free.
    Released,
    /// Not the caller's (any more); nothing changed.
    NotHeld,
}

/// Hears of releases; may miss some, so waiters look again from time to time.
#[async_trait]
pub trait Wakeups: fmt::Debug + Send {
    /// Completes when the name may have become free. Cancel safe.
    async fn next(&mut self);
}
