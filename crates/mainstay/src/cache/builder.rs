//! What a cache is called and how it keeps values.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::handle::Cache;
use super::section::Section;
use crate::backend::CacheStore;
use crate::codec::{Codec, Json};
use crate::error::Result;
use crate::key::{Keyspace, Name};
use crate::ttl::Ttl;

/// Defines a [`Cache`]; made by [`Mainstay::cache`](crate::Mainstay::cache).
#[must_use]
pub struct CacheBuilder<T, C = Json> {
    store: Arc<dyn CacheStore>,
    keyspace: Keyspace,
    name: String,
    ttl: Duration,
    codec: C,
    value: PhantomData<fn() -> T>,
}

impl<T> CacheBuilder<T> {
    pub(crate) fn new(store: Arc<dyn CacheStore>, keyspace: Keyspace, name: &str) -> Self {
        Self {
            store,
            keyspace,
            name: name.to_owned(),
            ttl: Duration::from_mins(5),
            codec: Json,
            value: PhantomData,
        }
    }
}

impl<T, C> CacheBuilder<T, C> {
    /// How long an entry lives; default 5 min.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// How a value becomes bytes; [`Json`] by default.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use mainstay::codec::Raw;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let pages = mainstay::Mainstay::memory().cache::<Bytes>("pages").codec(Raw).build()?;
    /// pages.set("/", &Bytes::from_static(b"<html>")).await?;
    /// assert_eq!(pages.get("/").await?.as_deref(), Some(b"<html>".as_slice()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn codec<D: Codec<T> + 'static>(self, codec: D) -> CacheBuilder<T, D> {
        CacheBuilder {
            store: self.store,
            keyspace: self.keyspace,
            name: self.name,
            ttl: self.ttl,
            codec,
            value: PhantomData,
        }
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or the ttl no [`Ttl`].
    pub fn build(self) -> Result<Cache<T>>
    where
        C: Codec<T> + 'static,
    {
        Ok(Cache::new(Section::new(
            Name::new(&self.name)?,
            self.keyspace,
            self.store,
            Box::new(self.codec),
            Ttl::new(self.ttl)?,
        )))
    }
}

impl<T, C> fmt::Debug for CacheBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("name", &self.name)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
