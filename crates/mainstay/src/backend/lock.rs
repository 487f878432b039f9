//! Contract of the lock store.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Keeps leases on names, or on parts of them.
///
/// # Behaviour
/// - A name is given out whole, or in units to several: never more at a time, by the store's clock,
///   than the [`Claim`] of whoever comes last allows.
/// - Every new holder gets a fence above all earlier ones of that name. A fence is at least the
///   store's clock in microseconds, so it keeps rising after the store has lost its data, unless
///   the clock steps back by more than the outage.
/// - `acquire` by the holder extends the lease and answers the same fence, so a lost reply is
///   safe to ask for again; `release` by one of the last [`REMEMBERED`] released owners answers
///   `Released` again.
/// - Who asks with a place gets one behind all others, and keeps it by asking again before it ends.
///   What is free goes to whoever has waited longest, and to nobody else before, however little
///   they want. A place that was not kept up is dropped by whoever looks next.
/// - `release`, the end of a place, and an acquisition that leaves something call whoever comes
///   next, once.
/// - A plain value that another program set under the name (`SET lock:name token NX PX ttl`)
///   counts as held, and keeps that program out while we hold the name.
#[async_trait]
pub trait LockStore: Send + Sync {
    /// Takes what is claimed if it is free and nobody waits longer.
    async fn acquire(&self, key: &StoreKey, hold: &Hold<'_>) -> Result<LockTry>;

    /// Extends leases, with few calls for many; never takes what is free. One answer each, in
    /// their order.
    async fn renew(&self, leases: &[LockLease<'_>]) -> Vec<Result<Renewal>>;

    /// Extends a lease, and tells how many replicas have it, without waiting long for `wanted` of
    /// them; `None` when it is not the owner's.
    async fn replicate(&self, lease: &LockLease<'_>, wanted: u32) -> Result<Option<u64>>;

    /// Ends the holder's lease, or gives up its place, and calls who comes next.
    async fn release(&self, key: &StoreKey, owner: &str) -> Result<LockRelease>;

    /// Names below a prefix that somebody may hold: a part of them, from where the part before ended.
    /// One that comes or goes meanwhile may be left out or told twice.
    async fn scan(&self, prefix: &StoreKey, from: ScanFrom) -> Result<ScanPart>;

    /// Who holds the name, whose lease ends first coming first, and how many wait.
    async fn inspect(&self, key: &StoreKey) -> Result<LockView>;

    /// Frees the name if it is held by that owner, notes who did and why, and calls who comes next.
    /// A repeated call answers as the first did.
    async fn break_hold(&self, key: &StoreKey, order: &BreakOrder<'_>) -> Result<LockRelease>;

    /// Starts to listen for the turn of `owner`, who asks once more before waiting.
    async fn wakeups(&self, key: &StoreKey, owner: &str) -> Result<Box<dyn Wakeups>>;

    /// The same if that needs no waiting: then nothing that follows is missed.
    fn wakeups_at_hand(&self, key: &StoreKey, owner: &str) -> Option<Box<dyn Wakeups>>;
}

/// How many released owners a name remembers.
pub const REMEMBERED: usize = 8;

/// How much of a name somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// This many units.
    pub units: NonZeroU32,
    /// Of so many as may be held at once by all.
    pub of: NonZeroU32,
}

impl Claim {
    /// All of it.
    pub const WHOLE: Self = Self {
        units: NonZeroU32::MIN,
        of: NonZeroU32::MIN,
    };
}

/// What an acquisition writes.
#[derive(Debug, Clone, Copy)]
pub struct Hold<'a> {
    /// How much is wanted.
    pub claim: Claim,
    /// Random text that is new for each acquisition; its units and a dot come first.
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

/// A lease that is to be extended.
#[derive(Debug, Clone, Copy)]
pub struct LockLease<'a> {
    /// Of this name.
    pub key: &'a StoreKey,
    /// Whose it is.
    pub owner: &'a str,
    /// For how long from now.
    pub ttl: Ttl,
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

/// Where a part of a scan begins; the default is the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanFrom {
    /// Which of the servers, as they are counted now.
    pub node: usize,
    /// Where on it, as it said.
    pub cursor: u64,
}

/// Answer of [`LockStore::scan`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanPart {
    /// What follows the prefix, of each key.
    pub names: Vec<String>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<ScanFrom>,
}

/// Answer of [`LockStore::inspect`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockView {
    /// Who holds the name, or units of it.
    pub holders: Vec<HolderView>,
    /// How many wait.
    pub waiting: u64,
    /// The last time that it was freed for a holder: how long ago, by whom, why.
    pub broken: Option<(Duration, String, String)>,
}

/// One who holds a name, or units of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HolderView {
    /// The owner's token.
    pub owner: String,
    /// Until the lease ends; `None` for a foreign value without an end.
    pub left: Option<Duration>,
    /// Who holds it, as the holder said; empty for a foreign value.
    pub holder: String,
    /// The holder's fence; `None` for a foreign value.
    pub fence: Option<u64>,
    /// Since when it is held.
    pub held_for: Option<Duration>,
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
