//! Nodes that answer and are no primaries any more: what they say about changes counts for nothing.

use std::time::Duration;

use mainstay::cache::Cache;
use mainstay_testkit::fixture::{Cluster, Flavor, SentinelSet, eventually};
use tokio::time::{Instant, sleep};

use super::super::{BOUND, on_both_flavors};
use super::{NEAR, STALENESS, nimble, numbers};

on_both_flavors! {
    t5_a_node_that_has_lost_the_majority_vouches_for_nothing
    t5_a_primary_that_was_demoted_vouches_for_nothing
}

async fn is_kept_near(cache: &Cache<u64>, key: &str) {
    eventually("a near hit", BOUND, async || {
        let before = cache.stats().near_hits;
        let found = cache.get(key).await.map_err(|error| error.to_string())?;
        assert_eq!(found, Some(7));
        match cache.stats().near_hits - before {
            0 => Err("read from the store".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

/// How long near hits went on after this moment, at most until they have stopped for a second.
async fn near_hits_end(cache: &Cache<u64>, key: &str) -> Duration {
    let began = Instant::now();
    let mut last = Duration::ZERO;
    while began.elapsed() < last + Duration::from_secs(1) {
        assert!(began.elapsed() < BOUND, "near hits go on");
        let before = cache.stats().near_hits;
        // An error is right: nobody serves the key.
        let _outcome = cache.get(key).await;
        if cache.stats().near_hits > before {
            last = began.elapsed();
        }
        sleep(Duration::from_millis(20)).await;
    }
    last
}

async fn t5_a_node_that_has_lost_the_majority_vouches_for_nothing(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor, 3, 0).await;
    let stay = nimble(&cluster.url()).await;
    // Without tags, which are kept by another node.
    let cache = stay.cache::<u64>("numbers").plain("number:").near(NEAR);
    let cache = cache.build().unwrap();
    // A key of the first node, which stays.
    let mut key = String::new();
    for number in 0..100_u32 {
        key = number.to_string();
        let slot = ["CLUSTER", "KEYSLOT", &format!("number:{key}")];
        let slot = cluster.nodes()[0].command(&slot).await.integer();
        if cluster.primary_of(u16::try_from(slot).unwrap()).await == 0 {
            break;
        }
    }
    cache.set(&key, &7).await.unwrap();
    is_kept_near(&cache, &key).await;
    cluster.kill(1);
    cluster.kill(2);
    let ended = near_hits_end(&cache, &key).await;
    println!("{flavor}: T5 near hits ended {ended:?} after the majority was lost");
    // What the nodes take to notice it, and the bound.
    assert!(ended < Duration::from_secs(4) + STALENESS);
}

async fn t5_a_primary_that_was_demoted_vouches_for_nothing(flavor: Flavor) {
    let set = SentinelSet::start(flavor).await;
    let cache = numbers(&nimble(&set.url()).await);
    cache.set("key", &7).await.unwrap();
    is_kept_near(&cache, "key").await;
    let primary = set.primary_addr().await;
    let demoted = set.nodes().iter().find(|node| node.addr() == primary);
    let demoted = demoted.unwrap();
    // The Sentinels are held back: they would notice, and make it a primary again.
    for sentinel in set.sentinels() {
        sentinel.stop();
    }
    demoted.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let ended = near_hits_end(&cache, "key").await;
    for sentinel in set.sentinels() {
        sentinel.cont();
    }
    println!("{flavor}: T5 near hits ended {ended:?} after the primary was demoted");
    assert!(ended < STALENESS + Duration::from_millis(500));
}
