//! Contract of the cache store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::coherence::{Mark, Watchers};
use super::digest::sha1_hex;
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Stores cache entries, guards who may fill a missing one, and tells of changes.
///
/// Entries are bytes: what they mean is decided above.
///
/// # Behaviour
/// - An entry is gone when its TTL has passed on the store's own clock.
/// - The right to fill an entry is leased to one caller at a time; a lease ends by `fill`, by
///   `forfeit`, or when its time is over and nobody renewed it.
/// - `put`, `remove` and `expire` end any lease on the key. A `fill` whose lease has ended stores
///   nothing: a value that was computed before an invalidation never becomes visible after it.
/// - A store that has no room left refuses `put` and `fill`; a `put` has then removed the entry that
///   it was to replace. It does not refuse what makes entries invalid.
/// - What was read by `sight` or `acquire` is watched: its next change, whoever makes it, reaches
///   the [`Watchers`], before the change itself is answered or within the stream of the
///   [`Mark`]. `remove`, `expire`, `fill` and `forfeit` count as changes even when there was no
///   entry, so that whoever waits for one is woken.
/// - Every method is atomic. One that may have been executed is sent again only where twice is the
///   same as once: not `put`, which an invalidation of others may have followed, nor `count`.
#[async_trait]
pub trait CacheStore: Send + Sync {
    /// The bytes, if there are any.
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>>;

    /// The bytes with the time they have left.
    async fn inspect(&self, key: &StoreKey) -> Result<Option<Stored>>;

    /// As [`inspect`](Self::inspect), watched from then on where the store can.
    async fn sight(&self, key: &StoreKey) -> Result<Sighting>;

    /// [`sight`](Self::sight) of several keys in one round trip to each node.
    async fn sight_many(&self, keys: &[StoreKey]) -> Result<Vec<Sighting>>;

    /// Stores an entry, replacing what was there.
    async fn put(&self, key: &StoreKey, value: Bytes, ttl: Ttl) -> Result<()>;

    /// The entry; or, when there is none but what the caller has seen already, the right to fill
    /// it. Empty bytes are none.
    async fn acquire(&self, key: &StoreKey, attempt: &Attempt) -> Result<Acquired>;

    /// Prolongs a lease; false when it has ended.
    async fn renew(&self, key: &StoreKey, lease: &Lease, lease_for: Ttl) -> Result<bool>;

    /// Stores an entry under a lease and ends the lease. An error leaves the lease as it was, or
    /// ends it.
    ///
    /// With `over`, for keys that others write without leases: only in place of that entry, or of
    /// none where it is empty.
    async fn fill(&self, key: &StoreKey, lease: &Lease, entry: NewEntry<'_>) -> Result<Fill>;

    /// Ends a lease without an entry, so that the next caller may try.
    ///
    /// A `failure` is told to those who waited for this lease, and to everybody for its
    /// `told_for`.
    async fn forfeit(
        &self,
        key: &StoreKey,
        lease: &Lease,
        failure: Option<&LoadFailure>,
    ) -> Result<()>;

    /// Removes the entry; true if there was one.
    async fn remove(&self, key: &StoreKey) -> Result<bool>;

    /// Sets the byte [`STALE_AT`] of an entry to [`STALE`], keeping its TTL; true if there was
    /// one that is long enough.
    async fn expire(&self, key: &StoreKey) -> Result<bool>;

    /// Starts the TTL of an entry anew; false if there is none, or another than was `seen`.
    async fn touch(&self, key: &StoreKey, seen: &[u8], ttl: Ttl) -> Result<bool>;

    /// The number of the latest [`invalidate_tag`](Self::invalidate_tag) with this counter; at least
    /// the server's clock in microseconds when there was none or it is forgotten.
    async fn watermark(&self, counter: &StoreKey) -> Result<u64>;

    /// The generation of a tag. One that has none gets `watermark`, provided that this still is the
    /// counter's number; `None` when it is not. The tag then lives for at least `ttl`.
    ///
    /// Counter and tag share a slot, here and below.
    async fn create_tag(
        &self,
        counter: &StoreKey,
        tag: &StoreKey,
        watermark: u64,
        ttl: Ttl,
    ) -> Result<Option<u64>>;

    /// Advances the counter, to a number larger than all before, and gives it to the tag as its
    /// generation. A tag that has none stays without: nothing that carries it is valid.
    async fn invalidate_tag(&self, counter: &StoreKey, tag: &StoreKey) -> Result<()>;

    /// Adds to counters that live for a day after they were last added to.
    async fn count(&self, counters: &StoreKey, added: &[(&'static str, u64)]) -> Result<()>;

    /// The counters.
    async fn counts(&self, counters: &StoreKey) -> Result<Vec<(String, u64)>>;

    /// Who is told of changes.
    fn watchers(&self) -> &Arc<Watchers>;
}

/// What a [`CacheStore::fill`] is to store.
#[derive(Debug, Clone)]
pub struct NewEntry<'a> {
    /// The entry.
    pub bytes: Bytes,
    /// How long it lives.
    pub ttl: Ttl,
    /// What has been seen of the entry that is replaced, if not just any may be.
    pub over: Option<&'a [u8]>,
}

/// Where an entry says whether it is fresh; see [`CacheStore::expire`].
pub const STALE_AT: usize = 3;

/// What is written there, as a bit among others.
pub const STALE: u8 = 0b1000_0000;

/// How a fingerprint begins; nothing that is known by its beginning begins so.
const FINGERPRINT: &[u8] = b"sha1:";

/// Tells bytes of another program from any other, as a script can as well.
pub(crate) fn fingerprint(bytes: &[u8]) -> Bytes {
    [FINGERPRINT, sha1_hex(bytes).as_bytes()].concat().into()
}

/// Whether these bytes are what has been seen.
pub(crate) fn is_seen(bytes: &[u8], seen: &[u8]) -> bool {
    if seen.starts_with(FINGERPRINT) {
        fingerprint(bytes) == seen
    } else {
        bytes.starts_with(seen)
    }
}

/// Stored bytes and their time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The entry.
    pub bytes: Bytes,
    /// Time until it expires; `None` for an entry of another program that never does.
    pub ttl_left: Option<Duration>,
}

/// Answer of [`CacheStore::sight`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sighting {
    /// What was there.
    pub stored: Option<Stored>,
    /// The stream that tells of its next change; `None` when nothing does at the moment.
    pub mark: Option<Mark>,
}

/// What a caller of [`CacheStore::acquire`] wants and knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// For how long the right is leased.
    pub lease_for: Ttl,
    /// What the caller has seen and cannot use: how it begins, or `sha1:` and its SHA-1; empty for
    /// none.
    pub seen: Bytes,
    /// The lease that the caller has waited for.
    pub waited_for: Option<LeaseId>,
}

/// The right to fill one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(String);

impl Lease {
    pub(crate) fn random() -> Self {
        Self(crate::random::token())
    }

    /// A lease that was handed out before, as text.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What others may know of it.
    pub(crate) fn id(&self) -> LeaseId {
        LeaseId(self.0.chars().take(LeaseId::LENGTH).collect())
    }
}

/// Names a lease without giving it away: its first characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseId(pub(crate) String);

impl LeaseId {
    /// 48 of the 128 random bits.
    pub(crate) const LENGTH: usize = 8;
}

/// Why a load failed, for those who wait for it elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadFailure {
    /// The error as text.
    pub message: String,
    /// How long everybody is told, and not only who waited.
    pub told_for: Duration,
}

/// Answer of [`CacheStore::acquire`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acquired {
    /// There is an entry, and it is not the one that the caller has seen.
    Fresh(Stored),
    /// The caller may fill it.
    Leased(Lease),
    /// Somebody else may, for at most this long unless the lease is renewed.
    Busy {
        /// Time until the lease ends.
        left: Duration,
        /// The lease.
        holder: LeaseId,
        /// Whether the watchers will be told when it ends by anything but time.
        is_heard: bool,
    },
    /// The load failed that the caller waited for, or that everybody is still told of.
    Failed(String),
}

/// Answer of [`CacheStore::fill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fill {
    /// The value is stored.
    Stored,
    /// The lease had ended, or somebody has written without one: nothing was stored.
    Superseded,
}

/// A stored value and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T = Bytes> {
    /// The value.
    pub value: T,
    /// Time since it was stored.
    pub age: Duration,
    /// Time until it expires.
    pub ttl_left: Duration,
}

impl<T> Entry<T> {
    pub(crate) fn new(value: T, age: Duration, ttl_left: Duration) -> Self {
        Self {
            value,
            age,
            ttl_left,
        }
    }
}
