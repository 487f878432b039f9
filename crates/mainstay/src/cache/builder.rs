//! What a cache is called and how it keeps values.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::handle::Cache;
use super::near::Near;
use super::policy::{EarlyRefresh, Expiry, Layout, Policy};
use super::section::{Parts, Section};
use super::store::tag_text;
use crate::backend::CacheStore;
use crate::clock::Clock;
use crate::codec::{Codec, Json};
use crate::error::Result;
use crate::key::{Keyspace, Name};

/// Defines a [`Cache`]; made by [`Mainstay::cache`](crate::Mainstay::cache).
#[must_use]
pub struct CacheBuilder<T, C = Json> {
    place: Place,
    policy: Policy<T>,
    near: Option<Near>,
    codec: C,
    value: PhantomData<fn() -> T>,
}

/// Where the cache is.
struct Place {
    store: Arc<dyn CacheStore>,
    keyspace: Keyspace,
    clock: Arc<dyn Clock>,
    name: String,
}

impl<T> CacheBuilder<T> {
    pub(crate) fn new(
        store: Arc<dyn CacheStore>,
        keyspace: Keyspace,
        clock: Arc<dyn Clock>,
        name: &str,
    ) -> Self {
        Self {
            place: Place {
                store,
                keyspace,
                clock,
                name: name.to_owned(),
            },
            policy: Policy::default(),
            near: None,
            codec: Json,
            value: PhantomData,
        }
    }
}

impl<T, C> CacheBuilder<T, C> {
    fn with(mut self, change: impl FnOnce(&mut Policy<T>)) -> Self {
        change(&mut self.policy);
        self
    }

    /// How long an entry is fresh; default 5 min.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|policy| policy.ttl = ttl)
    }

    /// Chooses the ttl from the value; the cache's own bounds that of known misses.
    pub fn ttl_by(self, ttl_of: impl Fn(&T) -> Duration + Send + Sync + 'static) -> Self {
        self.with(|policy| policy.ttl_of = Some(Arc::new(ttl_of)))
    }

    /// Shortens each ttl by a random part of this share, so that entries that were made together do
    /// not expire together; between 0.0, the default, and 1.0.
    pub fn jitter(self, jitter: f64) -> Self {
        self.with(|policy| policy.jitter = jitter)
    }

    /// Starts an entry's ttl anew when it is read after a quarter of it: an entry in use stays.
    pub fn sliding(self) -> Self {
        self.with(|policy| policy.expiry = Expiry::Sliding)
    }

    /// How long [`get_or_load_optional`](Cache::get_or_load_optional) remembers that there is no
    /// value; default 30 s, and at most the ttl.
    pub fn negative_ttl(self, negative_ttl: Duration) -> Self {
        self.with(|policy| policy.negative_ttl = negative_ttl)
    }

    /// How long everybody is told of a failed load instead of trying again; by default only those
    /// who waited for it are.
    pub fn error_ttl(self, error_ttl: Duration) -> Self {
        self.with(|policy| policy.error_ttl = error_ttl)
    }

    /// How long after its ttl an entry is served while one caller loads it anew (RFC 5861); none
    /// by default.
    pub fn stale_while_revalidate(self, window: Duration) -> Self {
        self.with(|policy| policy.stale_while_revalidate = window)
    }

    /// How long after its ttl an entry is served when it cannot be loaded anew, or when the backend
    /// cannot be asked (RFC 5861); none by default.
    ///
    /// Such an answer is marked: [`fetch`](Cache::fetch) tells its age and the reason.
    pub fn stale_if_error(self, window: Duration) -> Self {
        self.with(|policy| policy.stale_if_error = window)
    }

    /// Serves a stale entry when loading it anew takes longer than this, and lets the load go on;
    /// needs [`stale_if_error`](Self::stale_if_error).
    pub fn serve_stale_after(self, patience: Duration) -> Self {
        self.with(|policy| policy.serve_stale_after = Some(patience))
    }

    /// How long a load may take before it fails; default 30 s.
    pub fn load_timeout(self, load_timeout: Duration) -> Self {
        self.with(|policy| policy.load_timeout = load_timeout)
    }

    /// Loads an entry anew shortly before it expires, by one caller, who does not wait for it.
    ///
    /// The default where an entry's age is known: with a near cache or stale windows. Elsewhere this
    /// makes every read ask for the age. Never with a sliding ttl: an entry in use does not expire.
    pub fn early_refresh(self) -> Self {
        self.with(|policy| policy.early_refresh = EarlyRefresh::On)
    }

    /// Never loads an entry anew before it expires.
    pub fn no_early_refresh(self) -> Self {
        self.with(|policy| policy.early_refresh = EarlyRefresh::Off)
    }

    /// A tag that every entry carries.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.with(|policy| policy.tags.push(tag.into()))
    }

    /// The tags of an entry, from its value.
    ///
    /// Tags belong to the cache of this name; 1 to 1,024 bytes without control characters, at most
    /// 63 an entry.
    pub fn tags<I, S>(self, tags_of: impl Fn(&T) -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let tags_of = move |value: &T| tags_of(value).into_iter().map(Into::into).collect();
        self.with(|policy| policy.tags_of = Some(Arc::new(tags_of)))
    }

    /// Keeps decoded values in the process as well, told of every change; not by default.
    pub fn near(self, near: Near) -> Self {
        Self {
            near: Some(near),
            ..self
        }
    }

    /// Compresses encoded values above this size (LZ4) where that makes them smaller; never by
    /// default.
    pub fn compress_above(self, bytes: usize) -> Self {
        self.with(|policy| policy.compress_above = Some(bytes))
    }

    /// The largest encoded value that is stored; default 8 MiB. A larger one is refused by
    /// [`set`](Cache::set); one that was loaded is returned and not stored.
    pub fn max_entry_bytes(self, max_entry_bytes: usize) -> Self {
        self.with(|policy| policy.max_entry_bytes = max_entry_bytes)
    }

    /// The version of `T`; default 0. Raise it when values of before cannot be read any more.
    ///
    /// An entry of a lower version is a miss and is replaced. One of a higher version is a miss
    /// that is loaded and not stored: while two versions of a service run, they do not overwrite
    /// each other's entries in turn.
    pub fn schema(self, schema: u16) -> Self {
        self.with(|policy| policy.schema = schema)
    }

    /// Stores encoded values alone, under keys that start with `prefix`: the layout of services
    /// that cache by `SET user:7 json EX 300`.
    ///
    /// Their writes and deletions are heard of as those of mainstay, and what they write while a
    /// value is loaded stays. There is no room for tags, stale windows, compression, a schema, and
    /// known misses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let users = mainstay::Mainstay::memory().cache::<String>("users").plain("user:").build()?;
    /// users.set("7", &"Ada".to_owned()).await?; // on Redis: SET user:7 "Ada" PX 300000
    /// # Ok(())
    /// # }
    /// ```
    pub fn plain(self, prefix: impl Into<String>) -> Self {
        self.with(|policy| policy.layout = Layout::Plain(prefix.into()))
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
            place: self.place,
            policy: self.policy,
            near: self.near,
            codec,
            value: PhantomData,
        }
    }

    /// Checks the definition.
    ///
    /// Counters are registered with the recorder that is installed by then.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`], the ttl no
    /// [`Ttl`](crate::Ttl), or settings contradict each other; the message names them.
    pub fn build(self) -> Result<Cache<T>>
    where
        T: Clone + Send + Sync + 'static,
        C: Codec<T> + 'static,
    {
        self.policy.check()?;
        if let Some(near) = &self.near {
            near.check()?;
        }
        for tag in &self.policy.tags {
            tag_text(tag)?;
        }
        let Place {
            store,
            keyspace,
            clock,
            name,
        } = self.place;
        Ok(Cache::new(Section::new(Parts {
            name: Name::new(&name)?,
            keyspace,
            store,
            clock,
            codec: Box::new(self.codec),
            policy: self.policy,
            near: self.near,
        })))
    }
}

impl<T, C> fmt::Debug for CacheBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("name", &self.place.name)
            .field("policy", &self.policy)
            .field("near", &self.near)
            .finish_non_exhaustive()
    }
}
