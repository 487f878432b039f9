//! How old what is read may be, while connections are cut, silent or slow.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mainstay::cache::Cache;
use mainstay_testkit::fixture::{FaultProxy, Flavor, Mode, Server, eventually};
use tokio::time::{Instant, sleep};

use super::super::{BOUND, COMMAND_TIMEOUT, SLACK, connect, extent, on_both_flavors};
use super::{NEAR, STALENESS, from_source, nimble};

/// How often the value changes.
const WRITE_EVERY: Duration = Duration::from_millis(25);
/// What a read may take before its answer is judged late: it looks, asks for the lease and the
/// watermark, and fills.
const READ: Duration = COMMAND_TIMEOUT.saturating_mul(4).saturating_add(SLACK);

on_both_flavors! {
    t5_nothing_is_older_than_the_bound_whatever_happens_to_the_connection
}

/// One key whose value only rises, and when each value was there for all to see.
struct World {
    server: Server,
    proxy: FaultProxy,
    /// Through the proxy.
    reading: Cache<u64>,
    /// Past the proxy.
    writing: Cache<u64>,
    source: Arc<AtomicU64>,
    /// At index `v`: when the invalidation that ended version `v` had been answered.
    ended: Arc<Mutex<Vec<Instant>>>,
}

#[derive(Debug, Default)]
struct Tally {
    reads: u64,
    late: u64,
    older: u64,
    oldest: Duration,
}

impl World {
    async fn start(flavor: Flavor) -> Self {
        let server = Server::start(flavor).await;
        let proxy = FaultProxy::start(server.addr()).await;
        let (through, past) = (nimble(&proxy.url()).await, connect(&server.url()).await);
        let cache = |stay: &mainstay::Mainstay| {
            let builder = stay.cache("numbers").ttl(Duration::from_secs(300));
            builder.near(NEAR).build().unwrap()
        };
        Self {
            reading: cache(&through),
            writing: cache(&past),
            server,
            proxy,
            source: Arc::default(),
            ended: Arc::default(),
        }
    }

    /// Changes the value until told to stop.
    fn write(&self, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<()> {
        let (writing, source, ended) = (
            self.writing.clone(),
            Arc::clone(&self.source),
            Arc::clone(&self.ended),
        );
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                source.fetch_add(1, Ordering::SeqCst);
                writing.remove("key").await.unwrap();
                ended.lock().unwrap().push(Instant::now());
                sleep(WRITE_EVERY).await;
            }
        })
    }

    /// Reads until told to stop, and judges each answer by when its version had ended.
    fn read(&self, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<Tally> {
        let (reading, source, ended) = (
            self.reading.clone(),
            Arc::clone(&self.source),
            Arc::clone(&self.ended),
        );
        tokio::spawn(async move {
            let mut tally = Tally::default();
            while !stop.load(Ordering::SeqCst) {
                let began = Instant::now();
                let read = reading.get_or_load("key", from_source(&source)).await;
                let version = read.expect("a loader that never fails");
                tally.reads += 1;
                if began.elapsed() > READ {
                    tally.late += 1;
                }
                let index = usize::try_from(version).unwrap();
                let end = ended.lock().unwrap().get(index).copied();
                if let Some(end) = end {
                    let age = began.saturating_duration_since(end);
                    tally.oldest = tally.oldest.max(age);
                    if age > STALENESS {
                        tally.older += 1;
                    }
                }
                if tally.reads % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            tally
        })
    }

    /// Waits until the process serves most reads itself, with the value at rest.
    async fn recovers(&self, fault: &str) -> Duration {
        let since = Instant::now();
        eventually(&format!("near hits after {fault}"), BOUND, async || {
            let before = self.reading.stats().near_hits;
            for _ in 0..100 {
                self.reading
                    .get_or_load("key", from_source(&self.source))
                    .await
                    .map_err(|error| error.to_string())?;
            }
            match self.reading.stats().near_hits - before {
                hits @ 0..95 => Err(format!("{hits} of 100")),
                _ => Ok(()),
            }
        })
        .await;
        since.elapsed()
    }

    async fn begin(&mut self, fault: &str) {
        match fault {
            "reset" => self.proxy.reset_all().await,
            "kill" => {
                let killed = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
                self.server.command(&killed).await;
                // Connections that listen count as another type.
                self.server
                    .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
                    .await;
            }
            "blackhole" => self.proxy.set_mode(Mode::Blackhole).await,
            "refuse" => self.proxy.set_mode(Mode::Refuse).await,
            "delay" => {
                self.proxy
                    .set_mode(Mode::Delay(Duration::from_millis(500)))
                    .await;
            }
            "swallow" => self.proxy.swallow_pushes(),
            other => panic!("unknown fault {other}"),
        }
    }

    async fn end(&mut self) {
        self.proxy.forward_pushes();
        self.proxy.set_mode(Mode::Forward).await;
    }
}

async fn t5_nothing_is_older_than_the_bound_whatever_happens_to_the_connection(flavor: Flavor) {
    let length = extent(Duration::from_millis(2_500), Duration::from_secs(4));
    let mut world = World::start(flavor).await;
    let mut total = Tally::default();
    for round in 0..extent(1, 2) {
        for fault in ["reset", "kill", "delay", "blackhole", "refuse", "swallow"] {
            let stop = Arc::new(AtomicBool::new(false));
            let writer = world.write(Arc::clone(&stop));
            let readers = [0, 1].map(|_| world.read(Arc::clone(&stop)));
            sleep(length / 5).await;
            world.begin(fault).await;
            sleep(length).await;
            world.end().await;
            sleep(length / 5).await;
            stop.store(true, Ordering::SeqCst);
            writer.await.unwrap();
            let mut tally = Tally::default();
            for reader in readers {
                let read = reader.await.unwrap();
                tally.reads += read.reads;
                tally.late += read.late;
                tally.older += read.older;
                tally.oldest = tally.oldest.max(read.oldest);
            }
            let back = world.recovers(fault).await;
            println!(
                "{flavor}: T5 {fault}: {} reads, {} older than {STALENESS:?}, oldest {:?}, {} later than {READ:?}; near hits again after {back:?}",
                tally.reads, tally.older, tally.oldest, tally.late
            );
            assert_eq!((tally.older, tally.late), (0, 0), "{fault}, round {round}");
            assert!(tally.reads > 50, "{fault}: reads stopped");
            total.reads += tally.reads;
            total.oldest = total.oldest.max(tally.oldest);
        }
    }
    assert_eq!(world.reading.stats().incoherent, 0);
    println!(
        "{flavor}: T5 in all {} reads, oldest {:?}",
        total.reads, total.oldest
    );
}
