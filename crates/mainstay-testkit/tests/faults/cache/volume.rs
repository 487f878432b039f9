//! Much more than fits, values that are too large, keys that do not exist.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use mainstay::codec::Raw;
use mainstay_testkit::fixture::{Flavor, Server};

use super::super::{connect, extent, on_both_flavors, worker::Worker};
use super::keys;

const MIB: u64 = 1 << 20;

on_both_flavors! {
    t9_memory_stays_bounded_when_much_passes_through
    t9_a_value_that_is_too_large_is_returned_and_not_stored
    t9_keys_that_do_not_exist_leave_nothing_behind
}

async fn t9_memory_stays_bounded_when_much_passes_through(flavor: Flavor) {
    const VALUE: u64 = 64 << 10;
    let server = Server::builder(flavor)
        .arg("maxmemory", "200mb")
        .arg("maxmemory-policy", "allkeys-lru")
        .start()
        .await;
    let mut worker = Worker::cache(&server.url()).await;
    let pushed = extent(192 * MIB, 1024 * MIB);
    let answer = worker
        .ask(&format!("push {} {VALUE}", pushed / VALUE))
        .await;
    let number = |field: &str| answer[field].as_u64().unwrap();
    let growth = number("most_kib").saturating_sub(number("before_kib")) * 1024;
    // Of the near cache's 64 MiB.
    let bound = 64 * MIB * 13 / 10 + 20 * MIB;
    println!(
        "{flavor}: T9 {} MiB through a near cache of 64 MiB: at most {} MiB kept, resident memory grew by {} MiB (at most {} MiB)",
        pushed / MIB,
        number("most_near_bytes") / MIB,
        growth / MIB,
        bound / MIB
    );
    assert!(growth <= bound);
    assert!((32 * MIB..=64 * MIB).contains(&number("most_near_bytes")));
}

async fn t9_a_value_that_is_too_large_is_returned_and_not_stored(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let cache = stay
        .cache::<Bytes>("large")
        .codec(Raw)
        .near(super::NEAR)
        .build()
        .unwrap();
    let size = usize::try_from(extent(32 * MIB, 512 * MIB)).unwrap();
    let load = move || async move { Ok::<_, io::Error>(Bytes::from(vec![b'x'; size])) };
    let loaded = cache.get_or_load("key", load).await.unwrap();
    assert_eq!(loaded.len(), size);
    assert_eq!(cache.get("key").await.unwrap(), None);
    assert_eq!(cache.stats().not_stored, 1);
    let refused = cache.set("key", &loaded).await.unwrap_err();
    assert_eq!(refused.kind(), mainstay::ErrorKind::Invalid);
    assert_eq!(keys(&server, "*cache:large:key*").await, [""; 0]);
    println!(
        "{flavor}: T9 {} MiB were returned and not stored",
        size / (1 << 20)
    );
}

async fn t9_keys_that_do_not_exist_leave_nothing_behind(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let mut worker = Worker::cache(&server.url()).await;
    let count = extent(50_000, 1_000_000);
    let answer = worker.ask(&format!("absent {count}")).await;
    let number = |field: &str| answer[field].as_u64().unwrap();
    let growth = number("after_kib").saturating_sub(number("before_kib"));
    println!("{flavor}: T9 {count} missing keys: resident memory grew by {growth} KiB");
    assert!(growth < 8 * 1024);
    assert_eq!(server.command(&["DBSIZE"]).await.integer(), 0);
    drop(worker);
    tokio::time::sleep(Duration::ZERO).await;
}
