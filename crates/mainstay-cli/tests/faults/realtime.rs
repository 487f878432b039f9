//! Clients of `mainstay serve` that are cut off, move between servers, and whose server is killed.

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::Mainstay;
use mainstay::pubsub::{History, Retention};
use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::serving::Serving;

const CHANNELS: u32 = 8;
const PER_SECOND: u32 = 500;
/// Longer than anything takes.
const BOUND: Duration = Duration::from_secs(60);
const CONFIG: &str = "[[history]]\nchannels = \"numbers/*\"\ncount = 100000\n";

fn extent<T>(short: T, full: T) -> T {
    match env::var("MAINSTAY_CHAOS").as_deref() {
        Ok("full") => full,
        Ok(other) => panic!("MAINSTAY_CHAOS is {other:?}: expected full"),
        Err(_) => short,
    }
}

/// Two servers over one store.
struct Site {
    nodes: [Serving; 2],
    histories: Vec<History<u32>>,
    client: Client,
    _folder: tempfile::TempDir,
    _store: Server,
}

impl Site {
    async fn start() -> Self {
        let store = Server::start(Flavor::Redis).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mainstay.toml");
        std::fs::write(&path, CONFIG).unwrap();
        let flags = ["--config", path.to_str().unwrap()];
        let stay = Mainstay::connect(&store.url()).await.unwrap();
        let histories = (0..CHANNELS).map(|channel| {
            let channel = stay.channel::<u32>(&format!("numbers/{channel}"));
            let channel = channel.history(Retention::count(100_000));
            channel.build().unwrap()
        });
        Self {
            nodes: [(); 2].map(|()| Serving::start(&store.url(), &flags)),
            histories: histories.collect(),
            client: Client::new(),
            _folder: folder,
            _store: store,
        }
    }

    fn urls(&self) -> [String; 2] {
        let channels: Vec<_> = (0..CHANNELS)
            .map(|channel| format!("channel=numbers/{channel}"))
            .collect();
        let query = channels.join("&");
        let url = |node: &Serving| format!("http://{}/v1/stream?{query}", node.address);
        [url(&self.nodes[0]), url(&self.nodes[1])]
    }
}

/// One client's ledger: the numbers of each channel as they came.
#[derive(Default)]
struct Ledger {
    heard: BTreeMap<String, Vec<u64>>,
    resets: Vec<Value>,
    last: Option<String>,
    buffer: String,
}

impl Ledger {
    async fn open(&mut self, client: &Client, url: &str) -> reqwest::Result<Response> {
        self.buffer.clear();
        let mut request = client.get(url);
        if let Some(last) = &self.last {
            request = request.header("Last-Event-ID", last);
        }
        request.send().await
    }

    /// Reads until all is there.
    async fn read(&mut self, response: &mut Response, all: usize) {
        while self.total() < all {
            let chunk = response.chunk().await.unwrap().expect("it goes on");
            self.take(&chunk);
        }
    }

    /// Reads until it is known where the stream begins.
    async fn begin(&mut self, response: &mut Response) {
        while self.last.is_none() {
            let chunk = response.chunk().await.unwrap().expect("it goes on");
            self.take(&chunk);
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        self.buffer.push_str(std::str::from_utf8(chunk).unwrap());
        while let Some((frame, _)) = self.buffer.split_once("\n\n") {
            let frame = frame.to_owned();
            self.buffer.drain(..frame.len() + 2);
            let field = |name: &str| {
                let lines = frame.lines();
                let mut found = lines.filter_map(|line| line.strip_prefix(name));
                found.next().map(str::to_owned)
            };
            if let Some(id) = field("id: ") {
                self.last = Some(id);
            }
            let Some(data) = field("data: ") else {
                continue;
            };
            let data: Value = serde_json::from_str(&data).unwrap();
            if field("event: ").as_deref() == Some("reset") {
                self.resets.push(data);
                continue;
            }
            let channel = data["channel"].as_str().unwrap().to_owned();
            let sequence = data["sequence"].as_str().unwrap().parse().unwrap();
            self.heard.entry(channel).or_default().push(sequence);
        }
    }

    fn total(&self) -> usize {
        self.heard.values().map(Vec::len).sum()
    }

    /// All numbers of all channels, each once and in order.
    fn check(&self, published: u64) {
        assert_eq!(self.resets, [Value::Null; 0]);
        assert_eq!(self.heard.len(), CHANNELS as usize);
        for (channel, numbers) in &self.heard {
            let expected: Vec<_> = (1..=published).collect();
            assert_eq!(numbers, &expected, "{channel}");
        }
    }
}

/// Publishes so many events on each channel, evenly.
async fn publish(histories: &[History<u32>], each: u32) {
    let mut ticks = interval(Duration::from_secs(1) * CHANNELS / PER_SECOND);
    for number in 0..each {
        ticks.tick().await;
        let sent = histories
            .iter()
            .map(|history| history.publish("number", &number));
        for sent in join_all(sent).await {
            sent.unwrap();
        }
    }
}

/// A number below `most`; the same ones in every run.
fn pick(random: &mut u64, most: u64) -> u64 {
    // Knuth's MMIX linear congruential generator.
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*random >> 33) % most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_clients_that_are_cut_off_and_move_miss_and_repeat_nothing() {
    let each = extent(200, 1_000);
    let (clients, cuts) = (8, extent(5, 25));
    let site = Site::start().await;
    let urls = Arc::new(site.urls());
    let all = usize::try_from(each * CHANNELS).unwrap();
    let (ready, mut are_ready) = watch::channel(0);
    let listening = (0..clients).map(|number| {
        let (urls, client, ready) = (Arc::clone(&urls), site.client.clone(), ready.clone());
        tokio::spawn(async move {
            let mut random = number + 1;
            let mut ledger = Ledger::default();
            let mut response = ledger.open(&client, &urls[0]).await.unwrap();
            ledger.begin(&mut response).await;
            ready.send_modify(|ready| *ready += 1);
            for _ in 0..cuts {
                let until = Duration::from_millis(pick(&mut random, 300));
                let _cut_off = timeout(until, ledger.read(&mut response, all)).await;
                let node = usize::try_from(pick(&mut random, 2)).unwrap();
                response = ledger.open(&client, &urls[node]).await.unwrap();
            }
            ledger.read(&mut response, all).await;
            ledger
        })
    });
    let listening: Vec<_> = listening.collect();
    timeout(BOUND, are_ready.wait_for(|ready| *ready == clients))
        .await
        .expect("all connect")
        .unwrap();
    publish(&site.histories, each).await;
    for client in listening {
        let ledger = timeout(BOUND, client).await.expect("it ends").unwrap();
        ledger.check(each.into());
    }
    println!(
        "stream: {clients} clients, {CHANNELS} channels, {all} events each, cut off {} times",
        clients * cuts
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t5_clients_of_a_server_that_is_killed_go_on_at_another() {
    let clients = extent(100, 1_000);
    let each = extent(60, 120);
    let mut site = Site::start().await;
    let [first, second] = site.urls();
    let all = usize::try_from(each * CHANNELS).unwrap();
    let (ready, mut are_ready) = watch::channel(0);
    let (killed, is_killed) = watch::channel(None::<Instant>);
    let listening = (0..clients).map(|_| {
        let (client, ready, is_killed) = (site.client.clone(), ready.clone(), is_killed.clone());
        let (first, second) = (first.clone(), second.clone());
        tokio::spawn(async move {
            let mut ledger = Ledger::default();
            let mut response = ledger.open(&client, &first).await.unwrap();
            ledger.begin(&mut response).await;
            ready.send_modify(|ready| *ready += 1);
            while let Ok(Some(chunk)) = response.chunk().await {
                ledger.take(&chunk);
            }
            let mut response = ledger.open(&client, &second).await.unwrap();
            let mut back = None;
            while ledger.total() < all {
                let chunk = response.chunk().await.unwrap().expect("it goes on");
                ledger.take(&chunk);
                back = back.or_else(|| Some(Instant::now() - is_killed.borrow().unwrap()));
            }
            (ledger, back.expect("it came back"))
        })
    });
    let listening: Vec<_> = listening.collect();
    timeout(BOUND, are_ready.wait_for(|ready| *ready == clients))
        .await
        .expect("all connect")
        .unwrap();
    let histories = site.histories.clone();
    let publishing = tokio::spawn(async move { publish(&histories, each).await });
    sleep(Duration::from_millis(300)).await;
    killed.send_replace(Some(Instant::now()));
    site.nodes[0].running.child().kill().unwrap();
    publishing.await.unwrap();
    let mut slowest = Duration::ZERO;
    for client in listening {
        let (ledger, back) = timeout(BOUND, client).await.expect("it ends").unwrap();
        ledger.check(each.into());
        slowest = slowest.max(back);
    }
    println!("stream: {clients} clients of a killed server, the last was back after {slowest:?}");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
}
