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
/// - Who asks with a place gets one behind all others, and keeps it by asking again before it ends.
///   A free name goes to whoever has waited longest; nobody else is given it, with a place or
///   without. A place that was not kept up is dropped by whoever looks next.
/// - `release` and the end of a place call whoever comes next, once.
/// - A plain value that another program set under the name (`SET lock:name token NX PX ttl`)
///   counts as held, and keeps that program out while we hold the name.
#[async_trait]
pub trait LockStore: Send + Sync {
    /// Takes the name if it is free and nobody waits longer for it.
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry>;

    /// Extends the holder's lease; never takes a free name.
    async fn renew(&self, key: &StoreKey, owner: &str, ttl: Ttl) -> Result<Renewal>;

    /// Ends the holder's lease, or gives up its place, and calls who comes next.
    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease>;

    /// Who holds the name, and how many wait.
    async fn inspect(&self, key: &StoreKey) -> Result<LockView>;

    /// Frees the name if it is held by that owner, notes who did and why, and calls who comes next.
    /// A repeated call answers as the first did.
    async fn break_hold(&self, key: &StoreKey, order: &BreakOrder<'_>) -> Result<LockRelease>;

    /// Starts to listen for the turn of `owner`, who asks once more before waiting.
    async fn wakeups(&self, key: &StoreKey, owner: &str) -> Result<Box<dyn Wakeups>>;

    /// The same if that needs no waiting: then nothing that follows is missed.
    fn wakeups_at_hand(&self, key: &StoreKey, owner: &str) -> Option<Box<dyn Wakeups>>;
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
    /// How long a place in the queue lasts unless it is asked for again; `None` to take none.
    pub place: Option<Ttl>,
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
    /// Held by another, or another's turn.
    Held {
        /// Until the lease, or the turn, ends unless it is renewed or taken; `None` for a foreign
        /// value without an end.
        left: Option<Duration>,
        /// Who holds it, as the holder said, empty for a foreign value; `None` when it is free and
        /// the turn of another who waits.
        holder: Option<String>,
        /// How many come before the caller, if it has a place.
        before: Option<u64>,
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

/// Answer of [`LockStore::inspect`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockView {
    /// The owner's token, if the name is held.
    pub owner: Option<String>,
    /// Until the lease ends; `None` for a foreign value without an end.
    pub left: Option<Duration>,
    /// Who holds it, as the holder said; empty for a foreign value.
    pub holder: String,
    /// The holder's fence; `None` for a foreign value.
    pub fence: Option<u64>,
    /// Since when it is held.
    pub held_for: Option<Duration>,
    /// How many wait.
    pub waiting: u64,
    /// The last time that it was freed for a holder: how long ago, by whom, why.
    pub broken: Option<(Duration, String, String)>,
}

/// What [`LockStore::break_hold`] is to do.
#[derive(Debug, Clone, Copy)]
pub struct BreakOrder<'a> {
    /// Whose hold is to end.
    pub owner: &'a str,
    /// Who wants it: host and process.
    pub by: &'a str,
    /// Why, for people.
    pub reason: &'a str,
}

/// Hears when it is a waiter's turn; may miss it, so waiters look again from time to time.
#[async_trait]
pub trait Wakeups: fmt::Debug + Send {
    /// Completes when it may be the waiter's turn. Cancel safe.
    async fn next(&mut self);
}
