//! Several locks, all or none.

use std::fmt;
use std::time::Duration;

use futures_util::future::{join_all, select_all};

use super::builder::Terms;
use super::{Acquire, Fence, Lock, LockGuard, LockLost, Release};
use crate::error::{Error, Result};
use crate::key::Name;

/// More would make one holder wait for too many others.
const LOCKS_MAX: usize = 64;

/// Several locks that are taken all or none, each of which excludes who takes it alone.
///
/// They are taken one after the other in the order of their names, so that two who want some of
/// the same never wait for each other. Who waits for one holds those before it. Cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use mainstay::lock::{Acquire, AcquireAll};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let stay = mainstay::Mainstay::memory();
/// let transfer = stay.locks(["account-7", "account-3"]).build()?;
/// let AcquireAll::Acquired(both) = transfer.acquire(Duration::from_secs(5)).await? else {
///     panic!("nobody else holds them");
/// };
/// assert!(both.fence("account-3").is_some());
/// let one = stay.lock("account-7").build()?;
/// assert!(matches!(one.try_acquire().await?, Acquire::Held { .. }));
/// both.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LockSet {
    /// In the order of their names.
    locks: Vec<Lock>,
}

/// Defines a [`LockSet`]; made by [`Mainstay::locks`](crate::Mainstay::locks).
#[must_use]
pub struct LockSetBuilder {
    terms: Terms,
    names: Vec<String>,
}

/// Whether all were acquired.
#[derive(Debug)]
#[must_use]
pub enum AcquireAll {
    /// They are held as long as the guard lives and none is lost.
    Acquired(LockSetGuard),
    /// None is held by the caller, since another holds this one.
    Held {
        /// Its name.
        name: Name,
        /// As in [`Acquire::Held`].
        left: Option<Duration>,
        /// As in [`Acquire::Held`].
        holder: String,
    },
}

/// Several held locks, each renewed; dropping it releases all in the background.
#[derive(Debug)]
#[must_use = "a dropped guard releases its locks"]
pub struct LockSetGuard {
    guards: Vec<LockGuard>,
}

impl LockSetBuilder {
    pub(crate) fn new(terms: Terms, names: Vec<String>) -> Self {
        Self { terms, names }
    }

    /// How long each lease lasts unless it is renewed; 100 ms to 24 h, default 30 s.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = ttl;
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there are no names or more than 64, one is no
    /// [`Name`] or there twice, or the ttl is out of its range.
    pub fn build(mut self) -> Result<LockSet> {
        self.names.sort_unstable();
        if self.names.is_empty() || self.names.len() > LOCKS_MAX {
            return Err(Error::invalid(format!(
                "a set of locks has 1 to {LOCKS_MAX} names, not {}",
                self.names.len()
            )));
        }
        let mut pairs = self.names.iter().zip(self.names.iter().skip(1));
        if let Some((name, _)) = pairs.find(|(name, next)| name == next) {
            let name = Name::new(name)?;
            return Err(Error::invalid(format!("lock {name} is in the set twice")));
        }
        let locks = self.names.iter().map(|name| self.terms.lock(name));
        Ok(LockSet {
            locks: locks.collect::<Result<_>>()?,
        })
    }
}

impl LockSet {
    /// Takes all locks, waiting at most `wait` in all; zero takes them if all are free.
    ///
    /// Cancel safe: what a dropped call has taken is released in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer; nothing is held then.
    pub async fn acquire(&self, wait: Duration) -> Result<AcquireAll> {
        let Some(first) = self.locks.first() else {
            return Ok(AcquireAll::Acquired(LockSetGuard { guards: Vec::new() }));
        };
        let clock = &first.shared().clock;
        let end = clock.now().after(wait);
        loop {
            let mut held = LockSetGuard {
                guards: Vec::with_capacity(self.locks.len()),
            };
            for lock in &self.locks {
                match lock.acquire(end.since(clock.now())).await? {
                    Acquire::Acquired(guard) => held.guards.push(guard),
                    Acquire::Held { left, holder } => {
                        let name = lock.name().clone();
                        held.release().await?;
                        return Ok(AcquireAll::Held { name, left, holder });
                    }
                }
            }
            // One may have been lost while another was waited for.
            let Err(LockLost { name }) = held.check() else {
                return Ok(AcquireAll::Acquired(held));
            };
            held.release().await?;
            if clock.now() >= end {
                return Ok(AcquireAll::Held {
                    name,
                    left: None,
                    holder: String::new(),
                });
            }
        }
    }
}

impl LockSetGuard {
    /// The number to send with every write that this lock protects; `None` for a name that is not
    /// in the set.
    pub fn fence(&self, name: &str) -> Option<Fence> {
        let named = |guard: &&LockGuard| guard.name().as_str() == name;
        self.guards.iter().find(named).map(LockGuard::fence)
    }

    /// Ok while all are held.
    ///
    /// # Errors
    /// [`LockLost`] with the first that is not.
    pub fn check(&self) -> Result<(), LockLost> {
        self.guards.iter().try_for_each(LockGuard::check)
    }

    /// Completes when one is lost. Cancel safe.
    pub async fn lost(&self) {
        let each = self.guards.iter().map(|guard| Box::pin(guard.lost()));
        let each: Vec<_> = each.collect();
        if each.is_empty() {
            std::future::pending::<()>().await;
        }
        select_all(each).await;
    }

    /// Releases all; [`NotHeld`](Release::NotHeld) if one was not held any more.
    ///
    /// Cancel safe: a dropped call releases in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer for one of them; the others are released.
    pub async fn release(self) -> Result<Release> {
        let released = join_all(self.guards.into_iter().map(LockGuard::release)).await;
        let released: Vec<_> = released.into_iter().collect::<Result<_>>()?;
        Ok(if released.contains(&Release::NotHeld) {
            Release::NotHeld
        } else {
            Release::Released
        })
    }
}

impl fmt::Debug for LockSetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockSetBuilder")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}
