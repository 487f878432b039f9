//! How a backend is opened.

use std::sync::Arc;
use std::time::Duration;

use super::handle::Mainstay;
use super::url::{BackendUrl, Parameter};
use crate::backend::{Invalidation, Stores, memory};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::key::{Keyspace, Namespace};

/// How a backend is opened and how long its calls may take.
///
/// A query parameter of the URL wins over the value set here:
/// `?connect_timeout=5s&command_timeout=3s&retries=3&namespace=plant`.
///
/// ```
/// use std::time::Duration;
/// use mainstay::{Namespace, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let options = Options::new()
///     .command_timeout(Duration::from_millis(500))
///     .namespace(Namespace::new("plant")?);
/// let stay = options.clone().connect("memory:?retries=1").await?;
/// assert_eq!(stay.backend(), "memory");
///
/// let error = options.connect("memory:?retry=1").await.unwrap_err();
/// assert_eq!(error.kind(), mainstay::ErrorKind::Invalid);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    connect_timeout: Duration,
    command_timeout: Duration,
    retries: u32,
    namespace: Option<Namespace>,
    clock: Arc<dyn Clock>,
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "memory hears of its own changes")
    )]
    invalidation: Invalidation,
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "memory is up at once")
    )]
    start: Start,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    WhenConnected,
    InBackground,
}

impl Options {
    const TIMEOUT_MIN: Duration = Duration::from_millis(1);
    const TIMEOUT_MAX: Duration = Duration::from_mins(5);
    const RETRIES_MAX: u32 = 10;

    /// The defaults, each named at its setter.
    pub fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            command_timeout: Duration::from_secs(3),
            retries: 3,
            namespace: None,
            clock: Arc::new(SystemClock),
            invalidation: Invalidation::default(),
            start: Start::WhenConnected,
        }
    }

    /// Bounds one connection attempt and the wait in [`connect`](Self::connect); 1 ms to 5 min,
    /// default 5 s.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// Bounds one call, its repetitions included; 1 ms to 5 min, default 3 s.
    pub fn command_timeout(self, command_timeout: Duration) -> Self {
        Self {
            command_timeout,
            ..self
        }
    }

    /// How often a call that is safe to repeat is repeated; at most 10, default 3.
    pub fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Puts every key under a prefix; none by default.
    pub fn namespace(self, namespace: Namespace) -> Self {
        Self {
            namespace: Some(namespace),
            ..self
        }
    }

    /// Replaces the system's clock for the memory backend, the time of events, and the deadlines
    /// of lock guards and near caches; for tests.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How near caches hear of the changes that other processes make; tracking by default.
    pub fn invalidation(self, invalidation: Invalidation) -> Self {
        Self {
            invalidation,
            ..self
        }
    }

    /// Makes [`connect`](Self::connect) return at once; calls fail until the backend is up.
    pub fn in_background(self) -> Self {
        Self {
            start: Start::InBackground,
            ..self
        }
    }

    /// Opens the backend that `url` names: `memory:`, `redis://host:6379/0`, `rediss://`,
    /// `unix:///path`, `redis-cluster://a,b`, `redis-sentinel://a,b/primary`.
    ///
    /// Waits for the first connection for at most the connect timeout, unless
    /// [`in_background`](Self::in_background) is set. Cancel safe: a dropped call leaves no
    /// connection behind.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a URL, parameter or option that is not allowed;
    /// no message shows the password. [`Unavailable`](crate::ErrorKind::Unavailable) when the
    /// backend cannot be reached. [`Refused`](crate::ErrorKind::Refused) when it rejects the
    /// login. [`Unsupported`](crate::ErrorKind::Unsupported) when this build has no such backend, or
    /// the server says that it is older than Redis 7.0 or Valkey 7.2.
    pub async fn connect(mut self, url: &str) -> Result<Mainstay> {
        let url = BackendUrl::parse(url)?;
        for parameter in &url.parameters {
            self = self.with(parameter.clone());
        }
        self.check()?;
        let keyspace = Keyspace::new(self.namespace.clone());
        if url.is_memory() {
            let stores = memory::open(Arc::clone(&self.clock));
            return Ok(self.finish(stores, keyspace, "memory"));
        }
        let stores = self.open_redis(&url, &keyspace).await?;
        Ok(self.finish(stores, keyspace, "redis"))
    }

    /// The memory backend with these options.
    pub(super) fn memory(self) -> Mainstay {
        let stores = memory::open(Arc::clone(&self.clock));
        let keyspace = Keyspace::new(self.namespace.clone());
        self.finish(stores, keyspace, "memory")
    }

    fn finish(self, stores: Stores, keyspace: Keyspace, backend: &'static str) -> Mainstay {
        Mainstay::new(stores, keyspace, self.clock, self.command_timeout, backend)
    }

    fn with(self, parameter: Parameter) -> Self {
        match parameter {
            Parameter::ConnectTimeout(timeout) => self.connect_timeout(timeout),
            Parameter::CommandTimeout(timeout) => self.command_timeout(timeout),
            Parameter::Retries(retries) => self.retries(retries),
            Parameter::Namespace(namespace) => self.namespace(namespace),
            Parameter::Invalidation(invalidation) => self.invalidation(invalidation),
        }
    }

    fn check(&self) -> Result<()> {
        for (name, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("command_timeout", self.command_timeout),
        ] {
            if timeout < Self::TIMEOUT_MIN || timeout > Self::TIMEOUT_MAX {
                return Err(Error::invalid(format!(
                    "{name} must be between 1 ms and 5 min"
                )));
            }
        }
        if self.retries > Self::RETRIES_MAX {
            return Err(Error::invalid(format!(
                "retries must be at most {}",
                Self::RETRIES_MAX
            )));
        }
        Ok(())
    }

    #[cfg(feature = "redis")]
    async fn open_redis(&self, url: &BackendUrl, keyspace: &Keyspace) -> Result<Stores> {
        use crate::backend::redis;

        let config = redis::RedisConfig::parse(&url.target, &url.shown)?;
        let limits = redis::Limits {
            connect: self.connect_timeout,
            command: self.command_timeout,
            retries: self.retries,
        };
        let patience = match self.start {
            Start::WhenConnected => Some(self.connect_timeout),
            Start::InBackground => None,
        };
        let near = redis::NearSetup::new(self.invalidation, Arc::clone(&self.clock), keyspace);
        redis::open(config, limits, near, keyspace, patience).await
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_async, reason = "the same shape as with the feature")]
    async fn open_redis(&self, url: &BackendUrl, _keyspace: &Keyspace) -> Result<Stores> {
        let shown = &url.shown;
        Err(Error::new(
            crate::ErrorKind::Unsupported,
            format!(
                "url {shown:?}: this build knows only \"memory:\": enable the feature \"redis\""
            ),
        ))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn message(options: Options, url: &str) -> String {
        let error = options.connect(url).await.unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        error.to_string()
    }

    /// Or it could not be spawned.
    #[test]
    fn a_connection_is_opened_on_any_thread() {
        fn is_send<T: Send>(_: T) {}
        is_send(Options::new().connect("memory:"));
        is_send(crate::Mainstay::connect("memory:"));
        is_send(crate::Mainstay::from_env());
    }

    #[tokio::test]
    async fn options_out_of_range_are_refused_wherever_they_are_set() {
        assert_eq!(
            message(Options::new(), "memory:?command_timeout=0ms").await,
            "command_timeout must be between 1 ms and 5 min"
        );
        assert_eq!(
            message(
                Options::new().connect_timeout(Duration::from_secs(301)),
                "memory:"
            )
            .await,
            "connect_timeout must be between 1 ms and 5 min"
        );
        assert_eq!(
            message(Options::new().retries(11), "memory:").await,
            "retries must be at most 10"
        );
    }

    #[tokio::test]
    async fn a_parameter_of_the_url_wins_over_a_setter() -> Result<()> {
        let stay = Options::new()
            .retries(11)
            .connect("memory:?retries=10")
            .await?;
        assert_eq!(stay.backend(), "memory");
        Ok(())
    }

    #[cfg(not(feature = "redis"))]
    #[tokio::test]
    async fn without_the_feature_a_redis_url_names_it() {
        let error = Options::new()
            .connect("redis://:secret@h")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "url \"redis://***@h\": this build knows only \"memory:\": enable the feature \"redis\""
        );
    }
}
