//! The handle that everything else is made from.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::environment;
use super::options::Options;
use crate::backend::{HealthReport, LimitStore, Status, Stores, memory};
use crate::cache::CacheBuilder;
use crate::clock::Clock;
use crate::error::Result;
use crate::key::{Keyspace, Name};
use crate::lock::{
    self, AnyLock, ElectionBuilder, FencedValueBuilder, Keeper, LatchBuilder, LockBuilder,
    LockKind, LockList, LockSetBuilder, ReadWriteLockBuilder, SemaphoreBuilder, Terms,
};
use crate::pubsub::{ChannelBuilder, Subscriber};
use crate::queue::QueueBuilder;
use crate::ratelimit::{Limiter, Policy};
#[cfg(feature = "tower-sessions")]
use crate::session::TowerSessionStore;
use crate::session::{PlainSessionsBuilder, SessionsBuilder};

/// One opened backend, and the way to its caches, sessions, channels, limits and locks.
///
/// Cheap to clone; clones share the connections. They close when the last clone and the last
/// handle made from it are gone.
///
/// ```
/// use mainstay::Mainstay;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let stay = Mainstay::connect("memory:").await?;
/// assert_eq!(stay.health().await?.server, "memory");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mainstay(Arc<Inner>);

/// Whose limits this process counts by itself while the backend does not answer, at most.
const SUBJECTS_HERE: usize = 100_000;

struct Inner {
    stores: Stores,
    locks: Arc<Keeper>,
    shares: Arc<Keeper>,
    /// Of this process alone.
    limits_here: Arc<dyn LimitStore>,
    keyspace: Keyspace,
    clock: Arc<dyn Clock>,
    command_timeout: Duration,
    backend: &'static str,
}

impl Mainstay {
    pub(super) fn new(
        stores: Stores,
        keyspace: Keyspace,
        clock: Arc<dyn Clock>,
        command_timeout: Duration,
        backend: &'static str,
    ) -> Self {
        let keeper = |store| Keeper::new(Arc::clone(store), Arc::clone(&clock));
        Self(Arc::new(Inner {
            locks: keeper(&stores.locks),
            shares: keeper(&stores.shares),
            limits_here: memory::limits(Arc::clone(&clock), SUBJECTS_HERE),
            stores,
            keyspace,
            clock,
            command_timeout,
            backend,
        }))
    }

    /// Opens the backend that `url` names, with the default [`Options`].
    ///
    /// Cancel safe, as [`Options::connect`].
    ///
    /// # Errors
    /// As [`Options::connect`].
    pub async fn connect(url: &str) -> Result<Self> {
        Options::new().connect(url).await
    }

    /// Opens the backend that the environment names.
    ///
    /// `MAINSTAY_URL`, else `REDIS_URL`, else `REDIS_HOST` with `REDIS_PORT` (default 6379) and
    /// `REDIS_PASSWORD`, else `memory:`. An empty variable counts as not set. Cancel safe.
    ///
    /// # Errors
    /// As [`Options::connect`]; [`Invalid`](crate::ErrorKind::Invalid) for a variable that is not
    /// UTF-8 and a port that is none.
    pub async fn from_env() -> Result<Self> {
        Self::connect(&Self::url_from_env()?).await
    }

    /// The URL that [`from_env`](Self::from_env) opens, for use with [`Options::connect`].
    ///
    /// It may hold a password.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a variable that is not UTF-8 and a port that is
    /// none.
    pub fn url_from_env() -> Result<String> {
        environment::url()
    }

    /// Opens a memory backend of its own, on the system's clock.
    ///
    /// Its contents are gone with the last handle.
    ///
    /// ```
    /// assert_eq!(mainstay::Mainstay::memory().backend(), "memory");
    /// ```
    pub fn memory() -> Self {
        Options::new().memory()
    }

    /// Starts to define a cache of `T`s; caches of one name share their entries.
    pub fn cache<T>(&self, name: &str) -> CacheBuilder<T> {
        let store = Arc::clone(&self.0.stores.cache);
        CacheBuilder::new(
            store,
            self.0.keyspace.clone(),
            Arc::clone(&self.0.clock),
            name,
        )
    }

    /// Starts to define sessions that carry a `T`.
    pub fn sessions<T>(&self) -> SessionsBuilder<T> {
        let store = Arc::clone(&self.0.stores.sessions);
        SessionsBuilder::new(store, self.0.keyspace.clone())
    }

    /// Starts to define sessions in the layout of the plain recipe, which programs without mainstay
    /// share.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let sessions = mainstay::Mainstay::memory().plain_sessions().build()?;
    /// let created = sessions.create("ada", "plant", "engineer").await?;
    /// assert_eq!(sessions.load(&created.id).await?, Some(created));
    /// # Ok(())
    /// # }
    /// ```
    pub fn plain_sessions(&self) -> PlainSessionsBuilder {
        let store = Arc::clone(&self.0.stores.plain_sessions);
        PlainSessionsBuilder::new(store, self.0.keyspace.plain_sessions())
    }

    /// A store for the sessions of tower-sessions, in place of another.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use tower_sessions_core::Session;
    ///
    /// let store = Arc::new(mainstay::Mainstay::memory().tower_session_store());
    /// let session = Session::new(None, store.clone(), None);
    /// session.insert("visits", 1).await?;
    /// session.save().await?;
    ///
    /// let again = Session::new(session.id(), store, None);
    /// assert_eq!(again.get::<u32>("visits").await?, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tower-sessions")]
    pub fn tower_session_store(&self) -> TowerSessionStore {
        let inner = &*self.0;
        let store = Arc::clone(&inner.stores.sessions);
        let clock = Arc::clone(&inner.clock);
        TowerSessionStore::new(store, inner.keyspace.clone(), clock)
    }

    /// Starts to define a channel of events that carry a `T`.
    pub fn channel<T>(&self, name: &str) -> ChannelBuilder<T> {
        ChannelBuilder::new(
            Arc::clone(&self.0.stores.channels),
            Arc::clone(&self.0.stores.histories),
            self.0.keyspace.clone(),
            Arc::clone(&self.0.clock),
            name,
        )
    }

    /// Listens to several channels at once, whatever JSON they carry.
    ///
    /// Holds at most `buffer_bytes` of events that were not taken yet; more are dropped, and a
    /// gap stands where they were. Cancel safe: nothing is left behind.
    ///
    /// ```
    /// use mainstay::{Mainstay, Name};
    /// use mainstay::pubsub::Item;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = Mainstay::memory();
    /// let names = [Name::new("alarms")?, Name::new("notes")?];
    /// let mut both = stay.subscribe(&names, 64 * 1024).await?;
    /// stay.channel::<u8>("notes").build()?.publish("note.added", &7).await?;
    /// let Item::Event { channel, event } = both.next().await else {
    ///     panic!("an event was published");
    /// };
    /// assert_eq!((channel.as_str(), event.data), ("notes", 7.into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for no channel or no buffer;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not confirm in time.
    pub async fn subscribe(
        &self,
        channels: &[Name],
        buffer_bytes: usize,
    ) -> Result<Subscriber<serde_json::Value>> {
        let store = &self.0.stores.channels;
        Subscriber::open(&**store, &self.0.keyspace, channels, buffer_bytes).await
    }

    /// Starts to define a queue of jobs that carry a `T`.
    pub fn queue<T>(&self, name: &str) -> QueueBuilder<T> {
        let inner = &*self.0;
        QueueBuilder::new(
            Arc::clone(&inner.stores.queues),
            inner.keyspace.clone(),
            Arc::clone(&inner.clock),
            inner.command_timeout,
            name,
        )
    }

    /// A limiter for one policy; [`and`](Limiter::and) adds others.
    pub fn limiter(&self, policy: Policy) -> Limiter {
        let inner = &*self.0;
        let (store, clock) = (Arc::clone(&inner.stores.limits), Arc::clone(&inner.clock));
        let keyspace = inner.keyspace.clone();
        let memory = Arc::clone(&inner.limits_here);
        Limiter::new(
            store,
            memory,
            keyspace,
            clock,
            inner.command_timeout,
            policy,
        )
    }

    /// Starts to define a lock; locks of one name exclude each other.
    pub fn lock(&self, name: &str) -> LockBuilder {
        LockBuilder::new(self.terms(&self.0.locks), name)
    }

    /// Starts the definition of a semaphore of so many units.
    pub fn semaphore(&self, name: &str, units: NonZeroU32) -> SemaphoreBuilder {
        SemaphoreBuilder::new(self.terms(&self.0.shares), name, units)
    }

    /// Starts the definition of a lock for many readers or one writer.
    pub fn read_write_lock(&self, name: &str) -> ReadWriteLockBuilder {
        ReadWriteLockBuilder::new(self.terms(&self.0.shares), name)
    }

    /// Starts the definition of several locks that are taken all or none.
    pub fn locks<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> LockSetBuilder {
        let names = names.into_iter().map(Into::into).collect();
        LockSetBuilder::new(self.terms(&self.0.locks), names)
    }

    /// Starts the definition of an election of one leader.
    pub fn election(&self, name: &str) -> ElectionBuilder {
        ElectionBuilder::new(self.terms(&self.0.locks), name)
    }

    /// Starts the definition of a latch that opens when so many have arrived.
    pub fn latch(&self, name: &str, count: NonZeroU32) -> LatchBuilder {
        let inner = &*self.0;
        let (store, clock) = (Arc::clone(&inner.stores.latches), Arc::clone(&inner.clock));
        LatchBuilder::new(store, clock, inner.keyspace.clone(), name, count)
    }

    /// Starts the definition of a value that only the latest holder of a lock may write.
    pub fn fenced_value(&self, name: &str) -> FencedValueBuilder {
        let inner = &*self.0;
        FencedValueBuilder::new(
            Arc::clone(&inner.stores.fenced),
            inner.keyspace.clone(),
            name,
        )
    }

    /// A lock of any kind, to look at and to free.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`].
    pub fn any_lock(&self, kind: LockKind, name: &str) -> Result<AnyLock> {
        AnyLock::new(&self.terms_of(kind), kind, name)
    }

    /// The locks that somebody holds, of one kind or of all, at most `limit` of them.
    ///
    /// For people and their tools: on Redis every key of the servers is looked at once for each kind,
    /// a thousand with one command (`SCAN`). A lock that is acquired or released meanwhile may be
    /// left out. Cancel safe.
    ///
    /// ```
    /// use mainstay::Mainstay;
    /// use mainstay::lock::LockKind;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = Mainstay::memory();
    /// let _guard = stay.lock("report").build()?.try_acquire().await?;
    /// let held = stay.list_locks(None, 1_000).await?;
    /// assert_eq!(held.locks[0].lock.name().as_str(), "report");
    /// assert!(held.is_all);
    /// let none = stay.list_locks(Some(LockKind::Semaphore), 1_000).await?;
    /// assert!(none.locks.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn list_locks(&self, kind: Option<LockKind>, limit: usize) -> Result<LockList> {
        let kinds = LockKind::ALL.into_iter();
        let wanted = kinds.filter(|it| kind.is_none_or(|kind| kind == *it));
        let wanted = wanted.map(|kind| (kind, self.terms_of(kind)));
        lock::list(wanted.collect(), limit).await
    }

    fn terms_of(&self, kind: LockKind) -> Terms {
        self.terms(match kind {
            LockKind::Lock => &self.0.locks,
            LockKind::Semaphore | LockKind::ReadWrite => &self.0.shares,
        })
    }

    fn terms(&self, keeper: &Arc<Keeper>) -> Terms {
        let inner = &*self.0;
        let keeper = Arc::clone(keeper);
        Terms::new(keeper, inner.keyspace.clone(), inner.command_timeout)
    }

    /// Asks the backend now whether it answers, and what endangers data.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown)
    /// when it does not answer in time.
    pub async fn health(&self) -> Result<HealthReport> {
        self.0.stores.health.probe().await
    }

    /// The state as the supervised connections see it, without asking.
    pub fn status(&self) -> Status {
        *self.0.stores.health.watch().borrow()
    }

    /// The kind of backend, for people: `memory` or `redis`.
    pub fn backend(&self) -> &str {
        self.0.backend
    }
}

impl fmt::Debug for Mainstay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mainstay")
            .field("backend", &self.0.backend)
            .field("keyspace", &self.0.keyspace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between_threads<T: Send>(value: T) -> T {
        value
    }

    #[tokio::test]
    async fn every_call_can_be_made_from_a_task_that_moves_between_threads() -> Result<()> {
        let stay = Mainstay::memory();
        let cache = stay.cache::<u8>("c").build()?;
        between_threads(cache.set("k", &1)).await?;
        let load = || async { Ok::<_, std::io::Error>(2) };
        assert_eq!(between_threads(cache.get_or_load("k", load)).await?, 1);
        assert!(between_threads(cache.entry("k")).await?.is_some());
        assert!(between_threads(cache.remove("k")).await?);

        let sessions = stay.sessions::<u8>().build()?;
        let issued = between_threads(sessions.create("ada", &1)).await?;
        assert!(between_threads(sessions.load(&issued.id)).await?.is_some());
        assert_eq!(between_threads(sessions.list("ada")).await?.len(), 1);
        assert_eq!(between_threads(sessions.revoke_all("ada")).await?, 1);

        let channel = stay.channel::<u8>("c").build()?;
        let mut subscriber = between_threads(channel.subscribe()).await?;
        assert_eq!(between_threads(channel.publish("x", &1)).await?, 1);
        between_threads(subscriber.next()).await;

        let kept = crate::pubsub::Retention::count(1);
        let history = stay.channel::<u8>("c").history(kept).build()?;
        let mut subscriber = between_threads(history.subscribe()).await?;
        between_threads(history.publish("x", &1)).await?;
        between_threads(subscriber.next()).await;
        let oldest = crate::pubsub::Start::Beginning;
        assert_eq!(between_threads(history.read(oldest, 1)).await?.len(), 1);

        let queue = stay.queue::<u8>("q").build()?;
        drop(between_threads(queue.push(&1)).await?);
        drop(between_threads(queue.job(&2).key("k").push()).await?);
        between_threads(queue.push_all(&[3, 4])).await?;
        let jobs = vec![queue.job(&5).id("five")];
        between_threads(queue.push_jobs(jobs)).await?;
        between_threads(queue.dead(0, 10)).await?;
        between_threads(queue.replay_if(|_| true)).await?;
        let mut worker = queue.worker().start()?;
        let delivery = between_threads(worker.next()).await.expect("it runs");
        let settled = between_threads(delivery.ack()).await?;
        assert_eq!(settled, crate::queue::Settled::Settled);
        between_threads(worker.drain(Duration::ZERO)).await;

        let limiter = stay.limiter(Policy::window("p", 1, Duration::from_secs(1))?);
        assert!(between_threads(limiter.check("k")).await?.is_allowed());

        let lock = stay.lock("l").build()?;
        let acquire = between_threads(lock.acquire(Duration::from_secs(1))).await?;
        let crate::lock::Acquire::Acquired(guard) = acquire else {
            panic!("nobody else holds it");
        };
        drop(between_threads(guard.lost()));
        between_threads(guard.release()).await?;
        Ok(())
    }
}
