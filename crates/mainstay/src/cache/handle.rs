//! Reads, loads and changes entries.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::flight::Flights;
use super::section::Section;
use super::{Entry, load};
use crate::error::Result;
use crate::key::{AsKey, StoreKey};
use crate::ttl::Ttl;

/// A cache of `T`s.
///
/// Cheap to clone; clones share their loads, which stop when the last clone is dropped.
/// The store's clock decides when an entry expires.
pub struct Cache<T>(Arc<Inner<T>>);

struct Inner<T> {
    section: Arc<Section<T>>,
    flights: Flights<T>,
}

impl<T> Cache<T> {
    pub(super) fn new(section: Section<T>) -> Self {
        Self(Arc::new(Inner {
            section: Arc::new(section),
            flights: Flights::new(),
        }))
    }

    /// The value, if there is one; `None` as well for a stored value that is no `T`. Cancel safe.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no key;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer.
    pub async fn get(&self, key: impl AsKey) -> Result<Option<T>> {
        let section = &self.0.section;
        section.look_up(&section.key(key)?).await
    }

    /// The value with its age and the time it has left. Cancel safe.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let cache = mainstay::Mainstay::memory().cache::<u8>("numbers").build()?;
    /// cache.set_with_ttl("one", &1, Duration::from_mins(1)).await?;
    /// let entry = cache.entry("one").await?.map(|entry| (entry.value, entry.ttl_left));
    /// assert!(entry.is_some_and(|(value, left)| value == 1 && left <= Duration::from_mins(1)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn entry(&self, key: impl AsKey) -> Result<Option<Entry<T>>> {
        let section = &self.0.section;
        let entry = section.store.inspect(&section.key(key)?).await?;
        let decoded = entry.and_then(|entry| {
            let value = section.decode(&entry.value)?;
            Some(Entry::new(value, entry.age, entry.ttl_left))
        });
        Ok(section.counted(decoded))
    }

    /// Stores a value for the cache's ttl, replacing what was there.
    ///
    /// A load that is under way serves only those who asked before. A dropped call may have taken
    /// effect.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no key;
    /// [`Codec`](crate::ErrorKind::Codec) for a value that cannot be encoded;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when the backend does not answer; [`Refused`](crate::ErrorKind::Refused) when it has no
    /// room.
    pub async fn set(&self, key: impl AsKey, value: &T) -> Result<()> {
        self.put(key, value, self.0.section.ttl).await
    }

    /// As [`set`](Self::set), with a ttl of its own.
    ///
    /// # Errors
    /// As [`set`](Self::set); [`Invalid`](crate::ErrorKind::Invalid) when `ttl` is no [`Ttl`].
    pub async fn set_with_ttl(&self, key: impl AsKey, value: &T, ttl: Duration) -> Result<()> {
        self.put(key, value, Ttl::new(ttl)?).await
    }

    async fn put(&self, key: impl AsKey, value: &T, ttl: Ttl) -> Result<()> {
        let section = &self.0.section;
        let key = section.key(key)?;
        let bytes = section.codec.encode(value)?;
        let _change = self.change(&key);
        section.store.put(&key, bytes, ttl).await
    }

    /// Removes the entry; true if there was one.
    ///
    /// A load that is under way serves only those who asked before, and is not stored. A dropped
    /// call may have taken effect.
    ///
    /// # Errors
    /// As [`get`](Self::get); after [`Unknown`](crate::ErrorKind::Unknown) the entry may still be
    /// there: it is harmless to repeat.
    pub async fn remove(&self, key: impl AsKey) -> Result<bool> {
        let section = &self.0.section;
        let key = section.key(key)?;
        let _change = self.change(&key);
        section.store.remove(&key).await
    }

    /// Keeps what is loaded around a change of `key` from those who ask after it.
    fn change<'a>(&'a self, key: &'a StoreKey) -> Change<'a, T> {
        self.0.flights.detach(key);
        Change {
            flights: &self.0.flights,
            key,
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    /// The value; when it is missing, `load` is called and its value stored for the cache's ttl.
    ///
    /// One load a key at a time in this process: callers that come meanwhile wait for it. It runs
    /// in a task of the cache, so a caller may be dropped without stopping it. When another
    /// process is loading the key, the value is loaded here as well but not stored; so is a value
    /// whose load took longer than 30 s.
    ///
    /// An error or panic of `load` reaches every waiter, and the next call loads again. A stored
    /// value that is no `T` counts as missing. The value is returned even when it cannot be
    /// stored. Cancel safe.
    ///
    /// ```
    /// use std::io;
    /// use mainstay::ErrorKind;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let cache = mainstay::Mainstay::memory().cache::<u8>("numbers").build()?;
    /// let failed = cache.get_or_load("one", || async { Err(io::Error::other("offline")) }).await;
    /// assert_eq!(failed.unwrap_err().kind(), ErrorKind::Loader);
    /// let one = cache.get_or_load("one", || async { Ok::<_, io::Error>(1) }).await?;
    /// assert_eq!(one, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get); [`Loader`](crate::ErrorKind::Loader) when `load` fails, its error
    /// being the source, or panics; [`Codec`](crate::ErrorKind::Codec) when its value cannot be
    /// encoded.
    pub async fn get_or_load<F, Fut, E>(&self, key: impl AsKey, load: F) -> Result<T>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let section = &self.0.section;
        let key = section.key(key)?;
        if let Some(value) = section.look_up(&key).await? {
            return Ok(value);
        }
        let start = || load::run(Arc::clone(section), key.clone(), load);
        self.0.flights.join(&key, start).await
    }
}

/// A change in progress: detaches loads once more when it has ended, however it did.
struct Change<'a, T> {
    flights: &'a Flights<T>,
    key: &'a StoreKey,
}

impl<T> Drop for Change<'_, T> {
    fn drop(&mut self) {
        self.flights.detach(self.key);
    }
}

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.0.section.name)
            .field("ttl", &self.0.section.ttl)
            .finish_non_exhaustive()
    }
}
