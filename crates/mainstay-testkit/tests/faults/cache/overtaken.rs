//! Loads that an invalidation overtakes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mainstay::Mainstay;
use mainstay::cache::Cache;
use mainstay_testkit::fixture::{Connection, Flavor, Server, eventually};
use tokio::sync::Notify;

use super::super::{connect, on_both_flavors};
use super::{from_source, numbers};

const KEYS: usize = 1_000;

on_both_flavors! {
    t3_what_was_loaded_before_an_invalidation_is_never_read_after_it
    t3_what_another_program_has_written_meanwhile_stays
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_what_was_loaded_before_an_invalidation_is_never_read_after_it_in_memory() {
    let stay = Mainstay::memory();
    // Two caches of one name, each with a near cache of its own.
    let stale = overtake(&numbers(&stay), &numbers(&stay)).await;
    println!("memory: T3 {stale} stale reads of {KEYS} keys");
    assert_eq!(stale, 0);
}

async fn t3_what_was_loaded_before_an_invalidation_is_never_read_after_it(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let (ours, theirs) = (connect(&server.url()).await, connect(&server.url()).await);
    let stale = overtake(&numbers(&ours), &numbers(&theirs)).await;
    println!("{flavor}: T3 {stale} stale reads of {KEYS} keys");
    assert_eq!(stale, 0);
}

/// For each key: a load that has read the old value ends only after another process has changed
/// the source and invalidated. Counts what is stale in either process afterwards.
async fn overtake(ours: &Cache<u64>, theirs: &Cache<u64>) -> u64 {
    let mut rounds = FuturesUnordered::new();
    let mut stale = 0;
    for number in 0..KEYS {
        rounds.push(overtake_one(ours, theirs, format!("key-{number}")));
        if rounds.len() >= 32 {
            stale += rounds.next().await.unwrap_or(0);
        }
    }
    while let Some(more) = rounds.next().await {
        stale += more;
    }
    stale
}

async fn overtake_one(ours: &Cache<u64>, theirs: &Cache<u64>, key: String) -> u64 {
    let source = Arc::new(AtomicU64::new(1));
    let (began, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let load = {
        let (source, began, end) = (Arc::clone(&source), Arc::clone(&began), Arc::clone(&end));
        move || async move {
            let read = source.load(Ordering::SeqCst);
            began.notify_one();
            end.notified().await;
            Ok::<_, std::io::Error>(read)
        }
    };
    let invalidation = async {
        began.notified().await;
        source.store(2, Ordering::SeqCst);
        theirs.remove(&key).await.unwrap();
        end.notify_one();
    };
    let (loaded, ()) = tokio::join!(ours.get_or_load(&key, load), invalidation);
    // Who asked before the change may get what was true then.
    assert!([1, 2].contains(&loaded.unwrap()));
    let mut stale = 0;
    for _ in 0..2 {
        for cache in [ours, theirs] {
            if cache.get(&key).await.unwrap() == Some(1) {
                stale += 1;
            }
            let read = cache.get_or_load(&key, from_source(&source)).await;
            if read.unwrap() != 2 {
                stale += 1;
            }
        }
    }
    stale
}

/// Another program knows of no leases: `SET` while a value is loaded here.
async fn t3_what_another_program_has_written_meanwhile_stays(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let plain = stay
        .cache::<u64>("numbers")
        .plain("number:")
        .near(super::NEAR);
    let plain = plain.build().unwrap();
    let seen = async |key: &str, wanted: Option<u64>| {
        eventually("what was written", super::STALENESS, async || {
            match plain.get(key).await.unwrap() {
                found if found == wanted => Ok(()),
                other => Err(format!("{other:?} under {key}")),
            }
        })
        .await;
    };
    for (key, before) in [("new", None), ("old", Some("1"))] {
        let written = format!("number:{key}");
        if let Some(before) = before {
            server.command(&["SET", &written, before]).await;
        }
        let addr = server.addr();
        let load = move || async move {
            let mut other = Connection::open(addr).await?;
            other
                .command(&["SET", &written, "13", "PX", "60000"])
                .await?;
            Ok::<_, std::io::Error>(2)
        };
        assert_eq!(plain.refresh(key, load).await.unwrap(), 2);
        seen(key, Some(13)).await;
    }
    let addr = server.addr();
    let deleted = plain.refresh("old", move || async move {
        let mut other = Connection::open(addr).await?;
        other.command(&["DEL", "number:old"]).await?;
        Ok::<_, std::io::Error>(5)
    });
    assert_eq!(deleted.await.unwrap(), 5);
    seen("old", None).await;
    // What has not changed is replaced.
    server.command(&["SET", "number:old", "3"]).await;
    seen("old", Some(3)).await;
    let refreshed = plain.refresh("old", || async { Ok::<_, std::io::Error>(4) });
    assert_eq!(refreshed.await.unwrap(), 4);
    assert_eq!(plain.get("old").await.unwrap(), Some(4));
    assert_eq!(plain.stats().superseded, 3);
}
