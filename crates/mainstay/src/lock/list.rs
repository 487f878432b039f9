//! All locks of every kind, for tools that are not among their users.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt, stream};

use super::Release;
use super::builder::Terms;
use super::handle::Shared;
use super::inspect::{self, Holding, ShareInfo};
use crate::backend::{Claim, ScanFrom};
use crate::error::{Error, Result};
use crate::key::{Name, StoreKey};

/// How many locks are looked at together.
const AT_ONCE: usize = 32;

/// What kind of lock a name is of; names of two kinds have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LockKind {
    /// A [`Lock`](super::Lock), which is also what a [`LockSet`](super::LockSet) and an
    /// [`Election`](super::Election) hold.
    Lock,
    /// A [`Semaphore`](super::Semaphore).
    Semaphore,
    /// A [`ReadWriteLock`](super::ReadWriteLock).
    ReadWrite,
}

/// A lock of any kind, to look at and to free; made by
/// [`Mainstay::any_lock`](crate::Mainstay::any_lock).
#[derive(Clone)]
pub struct AnyLock {
    kind: LockKind,
    shared: Arc<Shared>,
}

/// A lock that somebody held when it was looked at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeldLock {
    /// The lock.
    pub lock: AnyLock,
    /// Who holds it, and how many wait.
    pub info: ShareInfo,
}

/// What is held; the answer of [`Mainstay::list_locks`](crate::Mainstay::list_locks).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LockList {
    /// By kind and name.
    pub locks: Vec<HeldLock>,
    /// False if there are more than were asked for.
    pub is_all: bool,
}

impl LockKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lock, Self::Semaphore, Self::ReadWrite];

    /// As it is written: `lock`, `semaphore` or `read-write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Semaphore => "semaphore",
            Self::ReadWrite => "read-write",
        }
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LockKind {
    type Err = Error;

    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming what is allowed.
    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        named.ok_or_else(|| {
            Error::invalid(format!(
                "kind of a lock is {text:?}: lock, semaphore or read-write is allowed"
            ))
        })
    }
}

impl AnyLock {
    pub(crate) fn new(terms: &Terms, kind: LockKind, name: &str) -> Result<Self> {
        let name = Name::new(name)?;
        let key = prefix(terms, kind).below(name.as_str());
        // Never acquired, so it does not matter what is claimed.
        let shared = Arc::new(terms.shared(name, key, Claim::WHOLE)?);
        Ok(Self { kind, shared })
    }

    /// The kind.
    pub fn kind(&self) -> LockKind {
        self.kind
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.shared.name
    }

    /// Who holds it, how many wait, and when a hold was last force-released. Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn inspect(&self) -> Result<ShareInfo> {
        inspect::inspect(&self.shared).await
    }

    /// Ends a hold that was seen, as [`Lock::force_release`](super::Lock::force_release) does.
    ///
    /// # Errors
    /// As there.
    pub async fn force_release(&self, seen: &Holding, reason: &str) -> Result<Release> {
        inspect::force_release(&self.shared, seen, reason).await
    }
}

fn prefix(terms: &Terms, kind: LockKind) -> StoreKey {
    match kind {
        LockKind::Lock => terms.keyspace.lock_prefix(),
        LockKind::Semaphore => terms.keyspace.semaphore_prefix(),
        LockKind::ReadWrite => terms.keyspace.read_write_lock_prefix(),
    }
}

pub(crate) async fn list(kinds: Vec<(LockKind, Terms)>, limit: usize) -> Result<LockList> {
    let mut found = BTreeMap::new();
    let mut is_all = true;
    for (kind, terms) in kinds {
        let mut held = pin!(held(terms, kind));
        while let Some(one) = held.try_next().await? {
            // A scan may tell one twice.
            let key = (kind, one.lock.name().clone());
            if found.len() < limit || found.contains_key(&key) {
                found.insert(key, one);
            } else {
                is_all = false;
                break;
            }
        }
    }
    let locks = found.into_values().collect();
    Ok(LockList { locks, is_all })
}

/// The locks of one kind that somebody holds.
fn held(terms: Terms, kind: LockKind) -> impl Stream<Item = Result<HeldLock>> + Send {
    let prefix = prefix(&terms, kind);
    let store = Arc::clone(terms.store());
    let parts = stream::try_unfold(Some(ScanFrom::default()), move |from| {
        let (store, prefix) = (Arc::clone(&store), prefix.clone());
        async move {
            let Some(from) = from else { return Ok(None) };
            let part = store.scan(&prefix, from).await?;
            Ok(Some((part.names, part.next)))
        }
    });
    let locks = parts.map_ok(move |names| {
        let locks = names.into_iter().filter_map(|name| {
            // What is no name is another program's.
            AnyLock::new(&terms, kind, &name).ok()
        });
        stream::iter(locks.map(Ok).collect::<Vec<_>>())
    });
    locks
        .try_flatten()
        .map_ok(|lock| async {
            let info = lock.inspect().await?;
            Ok(HeldLock { lock, info })
        })
        .try_buffered(AT_ONCE)
        .try_filter(|held| std::future::ready(!held.info.holdings.is_empty()))
}

impl fmt::Debug for AnyLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyLock")
            .field("kind", &self.kind)
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}
