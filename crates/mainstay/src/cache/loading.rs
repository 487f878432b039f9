//! Calls that bring a loader.

use std::error::Error as StdError;

use super::entries::Found;
use super::handle::Cache;
use super::load::{Absence, Demand, Start, Store};
use super::loaded::Fetched;
use super::obtain::seen;
use crate::error::{Error, ErrorKind, Result};
use crate::key::AsKey;

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    /// The value; when it is missing, `load` is called and its value stored for the cache's ttl.
    ///
    /// One load a key at a time, over all processes: others wait for it, and are told when it is
    /// there. It runs in a task of the cache, so a caller may be dropped without stopping it. A
    /// process that dies while it loads keeps others waiting for at most 3 s.
    ///
    /// A value whose key or tag was invalidated while it was loaded is returned to those who asked
    /// before, and not stored. An error or panic of `load` reaches every waiter, here and
    /// elsewhere, and the next call loads again; within `stale_if_error` they get the stale value
    /// instead. While the backend cannot be asked, values are loaded once a process and not stored.
    ///
    /// A stored value that is no `T` counts as missing. The value is returned even when it cannot
    /// be stored. Cancel safe.
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
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no key;
    /// [`Loader`](crate::ErrorKind::Loader) when `load` fails, its error being the source in this
    /// process and part of the message in others, panics, or takes longer than the load timeout.
    pub async fn get_or_load<F, Fut, E>(&self, key: impl AsKey, load: F) -> Result<T>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let text = key.key_text()?;
        if let Some(hit) = self.near_value(&text) {
            return Ok(hit);
        }
        let loaded = self.0.obtain(&text, Absence::Miss, some(load)).await?;
        known(loaded.value)
    }

    /// As [`get_or_load`](Self::get_or_load), for values that may not exist: `None` is remembered
    /// for the cache's negative ttl.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let cache = mainstay::Mainstay::memory().cache::<u8>("numbers").build()?;
    /// let none = || async { Ok::<Option<u8>, std::io::Error>(None) };
    /// assert_eq!(cache.get_or_load_optional("none", none).await?, None);
    /// let never = || async { Err(std::io::Error::other("it is known that there is none")) };
    /// assert_eq!(cache.get_or_load_optional("none", never).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_optional<F, Fut, E>(
        &self,
        key: impl AsKey,
        load: F,
    ) -> Result<Option<T>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        Ok(self
            .0
            .obtain(&key.key_text()?, Absence::Answer, load)
            .await?
            .value)
    }

    /// As [`get_or_load`](Self::get_or_load), and says where the value came from and how old it is.
    ///
    /// ```
    /// use mainstay::cache::Source;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let cache = mainstay::Mainstay::memory().cache::<u8>("numbers").build()?;
    /// let load = || async { Ok::<_, std::io::Error>(1) };
    /// assert_eq!(cache.fetch("one", load).await?.source, Source::Loaded);
    /// assert_eq!(cache.fetch("one", load).await?.source, Source::Remote);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn fetch<F, Fut, E>(&self, key: impl AsKey, load: F) -> Result<Fetched<T>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let text = key.key_text()?;
        let loaded = self.0.obtain(&text, Absence::Miss, some(load)).await?;
        let Fetched { value, age, source } = loaded;
        Ok(Fetched::new(known(value)?, age, source))
    }

    /// Loads the value anew, though there may be a fresh one, and stores it.
    ///
    /// Joins a load that is under way. When somebody else loads at the same time, theirs counts.
    /// Cancel safe: the load goes on.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn refresh<F, Fut, E>(&self, key: impl AsKey, load: F) -> Result<T>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let text = key.key_text()?;
        let start = |nothing| Start {
            nothing,
            fallback: None,
            store: Store::Reachable,
            demand: Demand::Callers,
            absence: Absence::Miss,
            on_wait: None,
        };
        let start = match self.section().read(&text).await {
            Ok(Found::Entry(resident)) => start(seen(&resident)),
            Ok(Found::Nothing(nothing)) => start(nothing),
            Err(error) => self.0.without_store(&error),
        };
        known(self.0.load(&text, start, some(load)).await?.value)
    }

    /// A hit of the process that needs no early refresh.
    #[inline]
    fn near_value(&self, text: &str) -> Option<T> {
        let (resident, now) = self.section().near(text)?;
        let times = resident.times();
        if now >= times.refresh_from || now >= times.fresh_until {
            return None;
        }
        let value = resident.value.clone()?;
        self.section().note_near_hit(text, &resident);
        self.section().slide(text, &resident, now);
        Some(value)
    }
}

/// A loader of what exists as one of what may not.
pub(super) fn some<T, F, Fut, E>(
    load: F,
) -> impl FnOnce() -> futures_util::future::MapOk<Fut, fn(T) -> Option<T>> + Send + 'static
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    move || futures_util::TryFutureExt::map_ok(load(), Some as fn(T) -> Option<T>)
}

/// A value that a loader of values must have given.
fn known<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| {
        Error::new(
            ErrorKind::Loader,
            "it is known that there is no value: get_or_load_optional tells",
        )
    })
}
