//! Readers and writers of the same keys, and what is left when they have stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::cache::Cache;
use mainstay_testkit::fixture::{Flavor, Server};
use tokio::task::yield_now;

use super::super::{connect, extent, on_both_flavors};
use super::{STALENESS, from_source, numbers};

const READERS: usize = 8;

on_both_flavors! {
    t4_nothing_is_stale_once_readers_and_writer_have_stopped
    t4_two_writers_leave_all_processes_in_agreement
}

fn key_count() -> usize {
    extent(400, 4_000)
}

async fn t4_nothing_is_stale_once_readers_and_writer_have_stopped(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let (reading, writing) = (connect(&server.url()).await, connect(&server.url()).await);
    let (reading, writing) = (numbers(&reading), numbers(&writing));
    let keys = key_count();
    let keys: Arc<Vec<_>> = Arc::new(
        (0..keys)
            .map(|n| (format!("k{n}"), Arc::new(AtomicU64::new(0))))
            .collect(),
    );
    // Keys in groups: 8 readers and a writer work on one key at a time.
    let mut stale = 0;
    for group in keys.chunks(50) {
        let tasks = group.iter().map(|(key, source)| {
            let (reading, writing) = (reading.clone(), writing.clone());
            let (key, source) = (key.clone(), Arc::clone(source));
            tokio::spawn(contend(reading, writing, key, source))
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
    }
    tokio::time::sleep(STALENESS / 4).await;
    for (key, source) in keys.iter() {
        let now = source.load(Ordering::SeqCst);
        for cache in [&reading, &writing] {
            for _ in 0..2 {
                let read = cache.get_or_load(key, from_source(source)).await.unwrap();
                if read != now {
                    stale += 1;
                }
            }
        }
    }
    let stats = reading.stats();
    println!(
        "{flavor}: T4 {} keys, {READERS} readers and a writer each: {stale} stale after they stopped ({} near hits, {} superseded)",
        keys.len(),
        stats.near_hits,
        stats.superseded
    );
    assert_eq!(stale, 0);
    assert!(stats.near_hits > 0);
    assert_eq!((stats.incoherent, writing.stats().incoherent), (0, 0));
}

/// Readers load what the source says; the writer changes it and invalidates after.
async fn contend(reading: Cache<u64>, writing: Cache<u64>, key: String, source: Arc<AtomicU64>) {
    const WRITES: u64 = 5;
    let readers = (0..READERS).map(|_| {
        let (reading, key, source) = (reading.clone(), key.clone(), Arc::clone(&source));
        tokio::spawn(async move {
            let mut seen = 0;
            while seen < WRITES {
                seen = reading
                    .get_or_load(&key, from_source(&source))
                    .await
                    .unwrap();
                yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for version in 1..=WRITES {
        source.store(version, Ordering::SeqCst);
        writing.remove(&key).await.unwrap();
        yield_now().await;
    }
    // Each ends once it has seen the last version: none is stuck with an older one.
    for reader in readers {
        let ended = tokio::time::timeout(super::super::BOUND, reader).await;
        ended
            .expect("a reader is stuck with an old version")
            .unwrap();
    }
}

async fn t4_two_writers_leave_all_processes_in_agreement(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stays = join_all((0..3).map(|_| async { connect(&server.url()).await })).await;
    let caches: Vec<_> = stays.iter().map(numbers).collect();
    let keys = key_count();
    let writers = caches.iter().take(2).enumerate().map(|(writer, cache)| {
        let cache = cache.clone();
        tokio::spawn(async move {
            for round in 0..5_u64 {
                for batch in (0..keys).collect::<Vec<_>>().chunks(50) {
                    let sets = batch.iter().map(|key| {
                        let value = round * 10 + writer as u64;
                        let cache = &cache;
                        async move { cache.set(&format!("k{key}"), &value).await }
                    });
                    for set in join_all(sets).await {
                        set.unwrap();
                    }
                    for key in batch {
                        cache.get(&format!("k{key}")).await.unwrap();
                    }
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut apart = 0;
    for key in 0..keys {
        let key = format!("k{key}");
        let reads = join_all(caches.iter().map(|cache| cache.get(&key))).await;
        let stored = caches[2]
            .entry(&key)
            .await
            .unwrap()
            .map(|entry| entry.value);
        if reads.into_iter().any(|read| read.unwrap() != stored) {
            apart += 1;
        }
    }
    println!("{flavor}: T4 two writers, {keys} keys: {apart} on which processes disagree");
    assert_eq!(apart, 0);
}
