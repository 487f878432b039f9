//! One hot key that two threads read as fast as they can while another client writes it.
//!
//! The writer has a client, a thread and a runtime of its own. How long a write stays unseen is
//! taken from the moment the writer knows of its end until the last reader has read it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay::Mainstay;
use mainstay::cache::Cache;
use mainstay::codec::Raw;
use mainstay_testkit::fixture::{Flavor, Server};
use redis::aio::MultiplexedConnection;
use tokio::runtime::Handle;

use super::connection;
use crate::Outcome;
use crate::fact::Fact;
use crate::latency::Latencies;
use crate::measure::{Contestant, Measured, Plan, Row, compare};

const THREADS: usize = 2;
const PAUSE: Duration = Duration::from_millis(100);
/// So many reads share one look at the clock.
const BATCH: u32 = 64;
/// A reader that has not seen the last write by then never will.
const PATIENCE: Duration = Duration::from_secs(10);
const KEY: &str = "hot";

/// Rises with every write of any contestant, so that a reader tells later from earlier.
static VERSION: AtomicU64 = AtomicU64::new(0);

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let stay = Mainstay::connect(&url).await?;
    let (cache, bare) = (cache(&stay)?, connection::bare(&url).await?);
    Writer::Cache(cache.clone()).write(0).await?;
    Writer::Bare(bare.clone()).write(0).await?;
    let client_cache = connection::with_client_cache(&url, 1_000).await?;

    let mut contestants = Vec::new();
    {
        let near = crate::near::raw(&stay, "bench")?;
        let read = async move || version(near.get(KEY).await?);
        contestants.push(race("mainstay near", &url, Through::Mainstay, read));
    }
    contestants.extend([
        race("mainstay", &url, Through::Mainstay, async move || {
            version(cache.get(KEY).await?)
        }),
        race(
            "redis-rs client cache",
            &url,
            Through::Redis,
            async move || version(connection::get(&client_cache, KEY).await?),
        ),
        race("redis-rs GET", &url, Through::Redis, async move || {
            version(connection::get(&bare, KEY).await?)
        }),
    ]);
    compare(plan, "read beside writes", THREADS, &contestants).await
}

fn cache(stay: &Mainstay) -> Outcome<Cache<Bytes>> {
    let cache = stay.cache::<Bytes>("bench").codec(Raw);
    Ok(cache.ttl(Duration::from_secs(3600)).build()?)
}

fn version(value: Option<Bytes>) -> Outcome<u64> {
    let value = value.ok_or("the hot key is missing")?;
    let head = value.first_chunk().ok_or("the hot key has no version")?;
    Ok(u64::from_be_bytes(*head))
}

fn race<R>(name: &'static str, url: &str, through: Through, read: R) -> Contestant
where
    R: AsyncFn() -> Outcome<u64> + Send + Sync + 'static,
{
    let (url, read) = (url.to_owned(), Arc::new(read));
    Contestant::measured(name, move |round| {
        let (url, read) = (url.clone(), Arc::clone(&read));
        async move {
            let end = Instant::now() + round.length;
            let last = Arc::new(OnceLock::new());
            let runtime = Handle::current();
            let readers: Vec<_> = (0..round.callers)
                .map(|_| {
                    let (read, runtime) = (Arc::clone(&read), runtime.clone());
                    let reader = Reader::new(end, Arc::clone(&last));
                    tokio::task::spawn_blocking(move || {
                        runtime.block_on(async { reader?.run(&*read).await })
                    })
                })
                .collect();
            let writing = tokio::task::spawn_blocking(move || write_until(end, &url, through));
            let writes = writing.await??;
            // Without a write there is nothing to wait for.
            last.get_or_init(|| writes.last().map_or(0, |write| write.version));
            let mut latencies = Latencies::new()?;
            let mut worst = Duration::ZERO;
            for reader in readers {
                let reader = reader.await??;
                latencies.add(&reader.latencies)?;
                worst = worst.max(reader.latest_sight(&writes)?);
            }
            Ok(Measured::new(&latencies, round.length).with_fact(Fact::SeenAfter(worst)))
        }
    })
}

/// A version and when its write had ended, or when a reader first saw it.
struct Moment {
    version: u64,
    at: Instant,
}

struct Reader {
    end: Instant,
    /// The version of the last write, once it has ended.
    last: Arc<OnceLock<u64>>,
    latencies: Latencies,
    sights: Vec<Moment>,
}

impl Reader {
    fn new(end: Instant, last: Arc<OnceLock<u64>>) -> Outcome<Self> {
        Ok(Self {
            end,
            last,
            latencies: Latencies::new()?,
            sights: Vec::new(),
        })
    }

    /// Reads until the time is over, and on without counting until the last write is seen.
    async fn run<R: AsyncFn() -> Outcome<u64>>(mut self, read: &R) -> Outcome<Self> {
        let mut seen = 0;
        loop {
            let begin = Instant::now();
            for _ in 0..BATCH {
                let version = read().await?;
                if version != seen {
                    seen = version;
                    let at = Instant::now();
                    self.sights.push(Moment { version, at });
                }
            }
            let now = Instant::now();
            if now < self.end {
                let each = (now - begin) / BATCH;
                self.latencies.record_many(each, u64::from(BATCH));
            } else if self.last.get().is_some_and(|last| seen >= *last) {
                return Ok(self);
            } else if now > self.end + PATIENCE {
                return Err(format!("a reader did not see a write within {PATIENCE:?}").into());
            }
        }
    }

    /// The longest that a write had ended before this reader saw it.
    fn latest_sight(&self, writes: &[Moment]) -> Outcome<Duration> {
        let mut worst = Duration::ZERO;
        for write in writes {
            let sight = self
                .sights
                .iter()
                .find(|sight| sight.version >= write.version);
            let sight = sight.ok_or("a reader missed the last write")?;
            worst = worst.max(sight.at.saturating_duration_since(write.at));
        }
        Ok(worst)
    }
}

/// By which client a contestant's key is written.
#[derive(Clone, Copy)]
enum Through {
    Mainstay,
    Redis,
}

enum Writer {
    Cache(Cache<Bytes>),
    Bare(MultiplexedConnection),
}

impl Writer {
    async fn connect(url: &str, through: Through) -> Outcome<Self> {
        Ok(match through {
            Through::Mainstay => Self::Cache(cache(&Mainstay::connect(url).await?)?),
            Through::Redis => Self::Bare(connection::bare(url).await?),
        })
    }

    async fn write(&self, version: u64) -> Outcome<()> {
        let mut value = vec![b'x'; 100];
        value[..8].copy_from_slice(&version.to_be_bytes());
        match self {
            Self::Cache(cache) => Ok(cache.set(KEY, &Bytes::from(value)).await?),
            Self::Bare(connection) => connection::set(connection, KEY, &value).await,
        }
    }
}

/// Writes every 100 ms until the time is over; the caller's thread does nothing else.
fn write_until(end: Instant, url: &str, through: Through) -> Outcome<Vec<Moment>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = Writer::connect(url, through).await?;
        let mut writes = Vec::new();
        let mut ticks = tokio::time::interval(PAUSE);
        while Instant::now() < end {
            ticks.tick().await;
            let version = VERSION.fetch_add(1, Ordering::Relaxed) + 1;
            client.write(version).await?;
            let at = Instant::now();
            writes.push(Moment { version, at });
        }
        Ok(writes)
    })
}
