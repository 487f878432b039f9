//! One process of a test of the cache: a line of work in, a line of JSON out.
//!
//! ```text
//! stampede KEY CALLERS LOAD_MS VALUE   many calls at once for one key
//! fail KEY CALLERS                     the same with a loader that fails
//! hang KEY                             a load that never ends; answers once it has begun
//! load KEY VALUE TAG                   loads one value that carries the tag
//! fill COUNT TAG                       loads COUNT values (0, 1, ...) that carry the tag
//! read COUNT                           gets that many: how many there are, and how many were near
//! remove KEY
//! invalidate TAG
//! push KEYS BYTES                      reads KEYS values of BYTES through the near cache
//! absent KEYS                          asks for keys that do not exist
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::Mainstay;
use mainstay::cache::{Cache, Near};
use mainstay::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::{Outcome, print};

/// `tag|value`: the tag is taken from the value.
type Text = Arc<str>;

/// Runs lines of work until standard input ends.
pub(super) async fn serve(url: &str) -> Outcome {
    let stay = Mainstay::connect(url).await?;
    let near = Near::new(64 << 20).check_one_in(1);
    let cache = stay
        .cache::<Text>("work")
        .ttl(Duration::from_secs(60))
        .tags(|text: &Text| text.split_once('|').map(|(tag, _)| tag.to_owned()))
        .near(near)
        .build()?;
    print(&json!({"ready": true}))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<_> = line.split(' ').collect();
        let answer = match words[..] {
            ["stampede", key, callers, load_ms, value] => {
                let load = Duration::from_millis(load_ms.parse()?);
                stampede(&cache, key, callers.parse()?, load, Ok(value)).await
            }
            ["fail", key, callers] => {
                let load = Duration::from_millis(200);
                stampede(&cache, key, callers.parse()?, load, Err("no source")).await
            }
            ["hang", key] => hang(&cache, key).await,
            ["load", key, value, tag] => {
                let text = Text::from(format!("{tag}|{value}"));
                let load = || async { Ok::<_, io::Error>(text) };
                json!({"value": cache.get_or_load(key, load).await?.as_ref()})
            }
            ["fill", count, tag] => fill(&cache, count.parse()?, tag).await?,
            ["read", count] => read(&cache, count.parse()?).await?,
            ["remove", key] => json!({"removed": cache.remove(key).await?}),
            ["invalidate", tag] => {
                cache.invalidate_tags([tag]).await?;
                json!({"invalidated": tag})
            }
            ["push", keys, bytes] => push(&cache, keys.parse()?, bytes.parse()?).await?,
            ["absent", keys] => absent(&cache, keys.parse()?).await?,
            _ => return Err(format!("unknown work: {line}").into()),
        };
        print(&answer)?;
    }
    Ok(())
}

/// Many calls at once for one key: how many loads ran here, and what came out.
async fn stampede(
    cache: &Cache<Text>,
    key: &str,
    callers: usize,
    load: Duration,
    outcome: Result<&str, &'static str>,
) -> Value {
    let loads = Arc::new(AtomicU64::new(0));
    let outcome = outcome.map(Text::from);
    let calls = (0..callers).map(|_| {
        let (cache, key, loads) = (cache.clone(), key.to_owned(), Arc::clone(&loads));
        let outcome = outcome.clone();
        tokio::spawn(async move {
            let began = SystemClock.now();
            let loader = move || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                sleep(load).await;
                outcome.map_err(io::Error::other)
            };
            let got = cache.get_or_load(key, loader).await;
            (got, SystemClock.now().since(began))
        })
    });
    let (mut served, mut errors) = (0, Vec::new());
    let mut times = Vec::new();
    for call in join_all(calls).await {
        match call {
            Ok((got, took)) => {
                times.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                match got {
                    Ok(_) => served += 1,
                    Err(error) => errors.push(error.to_string()),
                }
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied();
    let failed = errors.len();
    errors.sort_unstable();
    errors.dedup();
    json!({
        "loads": loads.load(Ordering::SeqCst), "served": served, "failed": failed,
        "errors": errors, "p99_us": p99, "max_us": times.last(),
    })
}

async fn hang(cache: &Cache<Text>, key: &str) -> Value {
    let began = Arc::new(Notify::new());
    let (cache, key, starts) = (cache.clone(), key.to_owned(), Arc::clone(&began));
    tokio::spawn(async move {
        let load = move || async move {
            starts.notify_one();
            std::future::pending::<Result<Text, io::Error>>().await
        };
        cache.get_or_load(key, load).await
    });
    began.notified().await;
    json!({"began": true})
}

async fn fill(cache: &Cache<Text>, count: u32, tag: &str) -> Result<Value, mainstay::Error> {
    let keys: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let mut loaded = 0;
    for keys in keys.chunks(1_000) {
        let tag = tag.to_owned();
        let load = move |keys: Vec<String>| {
            let texts = keys.iter().map(|key| Text::from(format!("{tag}|{key}")));
            let texts: Vec<_> = texts.collect();
            async move { Ok::<_, io::Error>(texts) }
        };
        loaded += cache.get_or_load_many(keys, load).await?.len();
    }
    Ok(json!({"loaded": loaded}))
}

async fn read(cache: &Cache<Text>, count: u32) -> Result<Value, mainstay::Error> {
    let keys: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let before = cache.stats().near_hits;
    let mut found = 0;
    for keys in keys.chunks(1_000) {
        found += cache.get_many(keys).await?.iter().flatten().count();
    }
    let stats = cache.stats();
    Ok(json!({
        "found": found, "near": stats.near_hits - before, "incoherent": stats.incoherent,
    }))
}

/// Reads large values once each and says what the process takes before and after.
async fn push(
    cache: &Cache<Text>,
    keys: u32,
    bytes: usize,
) -> Result<Value, Box<dyn std::error::Error>> {
    let before = resident_kib()?;
    let (mut most, mut most_near) = (before, 0);
    for number in 0..keys {
        let key = number.to_string();
        let load = move || async move { Ok::<_, io::Error>(Text::from("x".repeat(bytes))) };
        cache.get_or_load(&key, load).await?;
        // The first of these may come before the news of the fill, and is then not kept.
        for _ in 0..2 {
            cache.get(&key).await?;
        }
        if number % 64 == 0 {
            most = most.max(resident_kib()?);
            most_near = most_near.max(cache.stats().near_bytes);
        }
    }
    let stats = cache.stats();
    Ok(json!({
        "before_kib": before, "most_kib": most.max(resident_kib()?),
        "most_near_bytes": most_near.max(stats.near_bytes),
        "not_stored": stats.not_stored, "loads": stats.loads,
    }))
}

async fn absent(cache: &Cache<Text>, keys: u32) -> Result<Value, Box<dyn std::error::Error>> {
    let keys: Vec<String> = (0..keys).map(|number| format!("absent-{number}")).collect();
    // Warm: what the first calls allocate once is not a leak.
    cache.get_many(keys.get(..10_000).unwrap_or(&keys)).await?;
    let before = resident_kib()?;
    for keys in keys.chunks(5_000) {
        cache.get_many(keys).await?;
    }
    Ok(json!({"before_kib": before, "after_kib": resident_kib()?}))
}

/// What this process has in memory.
fn resident_kib() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.ok_or("no VmRSS in /proc/self/status")?.parse()?)
}
