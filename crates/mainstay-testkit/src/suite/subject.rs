//! One backend under test.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay::clock::ManualClock;
use mainstay::{Mainstay, Namespace, Options};
use tokio::sync::OnceCell;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::ms;
use crate::fixture::{Cluster, Connection, Flavor, Reply, Server};

/// A client of a backend that nobody else uses, or of a namespace that nobody else uses.
#[derive(Debug)]
pub struct Subject {
    stay: Mainstay,
    world: World,
    namespace: Option<String>,
}

#[derive(Debug)]
enum World {
    Memory(ManualClock),
    Server(Box<Server>),
    Cluster(&'static Cluster),
}

impl Subject {
    /// The longest that anything may take.
    pub const BOUND: Duration = Duration::from_secs(20);

    /// How far the clock moves before everybody who waits on it has run.
    const STEP: Duration = ms(2);
    /// How often others may run between two steps.
    const TURNS: u32 = 16;

    /// The memory backend on a clock that only [`advance`](Self::advance) moves.
    pub async fn memory() -> Self {
        let clock = ManualClock::new();
        let options = Options::new().clock(Arc::new(clock.clone()));
        Self {
            stay: options.connect("memory:").await.unwrap(),
            world: World::Memory(clock),
            namespace: None,
        }
    }

    /// A server of its own.
    pub async fn server(flavor: Flavor) -> Self {
        let server = Server::start(flavor).await;
        Self {
            stay: Mainstay::connect(&server.url()).await.unwrap(),
            world: World::Server(Box::new(server)),
            namespace: None,
        }
    }

    /// A namespace of its own in the cluster that the process shares.
    pub async fn cluster() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        let start = || Cluster::start(Flavor::Redis, 3, 0);
        let cluster = SHARED.get_or_init(start).await;
        let namespace = format!("suite-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let options = Options::new().namespace(Namespace::new(&namespace).unwrap());
        Self {
            stay: options.connect(&cluster.url()).await.unwrap(),
            world: World::Cluster(cluster),
            namespace: Some(namespace),
        }
    }

    /// The client.
    pub fn stay(&self) -> &Mainstay {
        &self.stay
    }

    /// What [`mainstay::backend::HealthReport::server`] must say.
    pub fn server_name(&self) -> &'static str {
        match &self.world {
            World::Memory(_) => "memory",
            World::Cluster(_) => "redis",
            World::Server(server) => match server.flavor() {
                Flavor::Redis => "redis",
                Flavor::Valkey => "valkey",
            },
        }
    }

    /// A second client, as another process has it; none in memory, which one process has alone.
    pub async fn other_process(&self) -> Option<Mainstay> {
        let namespace = self.namespace.as_deref();
        self.connect_with(namespace).await
    }

    /// A client under a namespace; none in memory.
    pub async fn under(&self, namespace: &str) -> Option<Mainstay> {
        let within = self.namespace.as_deref().unwrap_or("suite");
        let namespace = format!("{within}-{namespace}");
        self.connect_with(Some(&namespace)).await
    }

    async fn connect_with(&self, namespace: Option<&str>) -> Option<Mainstay> {
        let mut options = Options::new();
        if let Some(namespace) = namespace {
            options = options.namespace(Namespace::new(namespace).unwrap());
        }
        let url = match &self.world {
            World::Memory(_) => return None,
            World::Server(server) => server.url(),
            World::Cluster(cluster) => cluster.url(),
        };
        Some(options.connect(&url).await.unwrap())
    }

    /// Lets `duration` pass on the backend's clock.
    pub async fn advance(&self, duration: Duration) {
        match &self.world {
            World::Memory(clock) => {
                let mut left = duration;
                while !left.is_zero() {
                    let step = left.min(Self::STEP);
                    clock.advance(step);
                    left -= step;
                    for _ in 0..Self::TURNS {
                        yield_now().await;
                    }
                }
            }
            World::Server(_) | World::Cluster(_) => sleep(duration).await,
        }
    }

    /// Awaits `future` while time passes on the backend's clock; panics after [`Self::BOUND`].
    pub async fn elapse<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let passing = async {
            loop {
                tokio::select! {
                    biased;
                    value = &mut future => return value,
                    () = self.advance(ms(5)) => {}
                }
            }
        };
        timeout(Self::BOUND, passing)
            .await
            .expect("it takes too long")
    }

    /// Ends a lock behind its holder's back.
    pub async fn take_away(&self, lock: &str, ttl: Duration) {
        if let World::Memory(clock) = &self.world {
            // As if the machine had been suspended.
            clock.advance(ttl);
            return;
        }
        let key = format!("{}lock:{lock}", self.prefix());
        let mut removed = 0;
        for node in self.nodes() {
            let mut connection = Connection::open(node).await.unwrap();
            let reply = connection.command(&["DEL", &key]).await.unwrap();
            // Another node of a cluster answers where the key is.
            removed += i64::from(reply == Reply::Integer(1));
        }
        assert_eq!(removed, 1, "{key} is not there");
    }

    /// Publishes as a program without mainstay does; false in memory, where there is none.
    pub async fn publish_plainly(&self, channel: &str, payload: &str) -> bool {
        let Some(&node) = self.nodes().first() else {
            return false;
        };
        let channel = format!("{}{channel}", self.prefix());
        let mut connection = Connection::open(node).await.unwrap();
        connection
            .command(&["PUBLISH", &channel, payload])
            .await
            .unwrap();
        true
    }

    /// The subject's keys that have no time to live; `None` where nothing can be read from outside.
    pub async fn immortal(&self) -> Option<Vec<String>> {
        let nodes = self.nodes();
        if nodes.is_empty() {
            return None;
        }
        let mut immortal = Vec::new();
        for node in nodes {
            let mut connection = Connection::open(node).await.unwrap();
            let pattern = format!("{}*", self.prefix());
            let keys = connection.command(&["KEYS", &pattern]).await.unwrap();
            for key in keys.items() {
                let left = connection.command(&["PTTL", key.text()]).await.unwrap();
                if left.integer() == -1 {
                    immortal.push(key.text().to_owned());
                }
            }
        }
        Some(immortal)
    }

    /// All keys and the bytes under them, as text; none in memory.
    pub async fn dump(&self) -> Option<String> {
        let nodes = self.nodes();
        if nodes.is_empty() {
            return None;
        }
        let mut text = String::new();
        for node in nodes {
            let mut connection = Connection::open(node).await.unwrap();
            let pattern = format!("{}*", self.prefix());
            let keys = connection.command(&["KEYS", &pattern]).await.unwrap();
            for key in keys.items() {
                let kind = connection.command(&["TYPE", key.text()]).await.unwrap();
                let words: &[&str] = match &kind {
                    Reply::Status(kind) if kind == "hash" => &["HGETALL"],
                    Reply::Status(kind) if kind == "zset" => &["ZRANGE", "0", "-1"],
                    _ => &["GET"],
                };
                let mut command = vec![words[0], key.text()];
                command.extend(&words[1..]);
                let value = connection.command(&command).await.unwrap();
                writeln!(text, "{} {}", key.text(), value.lines()).unwrap();
            }
        }
        Some(text)
    }

    /// Keys that do not end by themselves; none in memory.
    pub async fn endless_keys(&self) -> Vec<String> {
        let mut endless = Vec::new();
        for node in self.nodes() {
            let mut connection = Connection::open(node).await.unwrap();
            let patterns = [
                format!("{}*", self.prefix()),
                format!("{{{}*", self.prefix()),
            ];
            for pattern in patterns {
                let keys = connection.command(&["KEYS", &pattern]).await.unwrap();
                for key in keys.items() {
                    let end = connection.command(&["PTTL", key.text()]).await.unwrap();
                    if end == Reply::Integer(-1) {
                        endless.push(key.text().to_owned());
                    }
                }
            }
        }
        endless
    }

    /// How many clients listen to a channel; none in memory.
    pub async fn listeners(&self, channel: &str) -> Option<i64> {
        let channel = format!("{}{channel}", self.prefix());
        let mut listeners = None;
        for node in self.nodes() {
            let mut connection = Connection::open(node).await.unwrap();
            let reply = connection
                .command(&["PUBSUB", "NUMSUB", &channel])
                .await
                .unwrap();
            *listeners.get_or_insert(0) += reply.items()[1].integer();
        }
        listeners
    }

    /// Records in `target/behaviours-skipped.txt` that this backend cannot do a behaviour.
    pub fn skip(&self, behaviour: &str, capability: &str) {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            Into::into,
        );
        fs::create_dir_all(&target).unwrap();
        let path = target.join("behaviours-skipped.txt");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        let line = format!(
            "skipped: {} {behaviour}: {capability}\n",
            self.server_name()
        );
        file.write_all(line.as_bytes()).unwrap();
        print!("{line}");
    }

    fn prefix(&self) -> String {
        let namespace = self.namespace.as_ref();
        namespace.map_or_else(String::new, |namespace| format!("{namespace}:"))
    }

    fn nodes(&self) -> Vec<SocketAddr> {
        match &self.world {
            World::Memory(_) => Vec::new(),
            World::Server(server) => vec![server.addr()],
            World::Cluster(cluster) => cluster.nodes().iter().map(Server::addr).collect(),
        }
    }
}
