//! Times to live, clocks that differ, and refreshes ahead of expiry.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use mainstay::Options;
use mainstay::cache::{Near, Source};
use mainstay::clock::{Clock, Moment, SystemClock};
use mainstay_testkit::fixture::{Flavor, Server};
use tokio::time::{Instant, sleep};

use super::super::{connect, extent, on_both_flavors};
use super::numbers;

on_both_flavors! {
    t7_jitter_spreads_expiries
    t7_a_near_value_never_outlives_the_stores
    t7_clocks_that_are_an_hour_apart_change_nothing
    t7_a_hot_key_is_refreshed_before_anybody_has_to_wait
}

async fn t7_jitter_spreads_expiries(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let ttl = Duration::from_secs(100);
    let cache = stay
        .cache::<u64>("jittered")
        .ttl(ttl)
        .jitter(0.2)
        .build()
        .unwrap();
    let mut left = Vec::new();
    for key in 0..500_u64 {
        let key = key.to_string();
        cache.set(&key, &1).await.unwrap();
        let reply = server
            .command(&["PTTL", &format!("cache:jittered:{key}")])
            .await;
        left.push(reply.integer());
    }
    let (least, most) = (left.iter().min().unwrap(), left.iter().max().unwrap());
    println!("{flavor}: T7 500 ttls of 100 s with jitter 0.2: {least} to {most} ms");
    assert!(*least >= 79_000 && *most <= 100_000);
    assert!(most - least > 15_000, "not spread");
}

async fn t7_a_near_value_never_outlives_the_stores(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let cache = numbers(&stay);
    let mut lived_on = 0;
    for round in 0..extent(20, 200_u64) {
        let key = round.to_string();
        let ttl = Duration::from_millis(20 + round % 40);
        cache.set_with_ttl(&key, &1, ttl).await.unwrap();
        let stored = Instant::now();
        while cache.get(&key).await.unwrap().is_some() {
            let left = server
                .command(&["PTTL", &format!("cache:numbers:{key}")])
                .await;
            // Gone on the server, and asked again after that.
            if left.integer() == -2 && cache.get(&key).await.unwrap().is_some() {
                lived_on += 1;
            }
            assert!(stored.elapsed() < ttl * 20, "it never expires");
        }
    }
    println!("{flavor}: T7 near values that outlived the store's: {lived_on}");
    assert_eq!(lived_on, 0);
}

/// A clock whose wall time is wrong.
#[derive(Debug)]
struct Shifted(Duration);

impl Clock for Shifted {
    fn now(&self) -> Moment {
        // Another machine's count starts elsewhere as well.
        SystemClock.now().after(self.0)
    }

    fn unix(&self) -> Duration {
        SystemClock.unix() + self.0
    }

    fn sleep_until(&self, deadline: Moment) -> BoxFuture<'static, ()> {
        let left = deadline.since(self.now());
        Box::pin(sleep(left))
    }
}

async fn t7_clocks_that_are_an_hour_apart_change_nothing(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let mut caches = Vec::new();
    for hours in 0..3 {
        let clock = Arc::new(Shifted(Duration::from_secs(3600 * hours)));
        let stay = Options::new()
            .clock(clock)
            .connect(&server.url())
            .await
            .unwrap();
        let tagged = stay.cache::<u64>("numbers").tag("all").near(super::NEAR);
        caches.push(tagged.build().unwrap());
    }
    for round in 0..extent(10, 100_u64) {
        for writer in 0..caches.len() {
            let value = round * 10 + writer as u64;
            caches[writer].set("key", &value).await.unwrap();
            for cache in &caches {
                let seen = mainstay_testkit::fixture::eventually(
                    "the value",
                    super::STALENESS,
                    async || match cache.get("key").await.unwrap() {
                        Some(seen) if seen == value => Ok(seen),
                        other => Err(format!("{other:?}")),
                    },
                );
                assert_eq!(seen.await, value);
            }
            caches[writer].invalidate_tags(["all"]).await.unwrap();
            for cache in &caches {
                mainstay_testkit::fixture::eventually("no value", super::STALENESS, async || {
                    match cache.get("key").await.unwrap() {
                        None => Ok(()),
                        other => Err(format!("{other:?}")),
                    }
                })
                .await;
            }
        }
    }
    println!("{flavor}: T7 three processes whose clocks are an hour apart agree");
}

async fn t7_a_hot_key_is_refreshed_before_anybody_has_to_wait(flavor: Flavor) {
    const RATE: u64 = 500;
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let cache = stay
        .cache::<u64>("hot")
        .ttl(Duration::from_secs(1))
        .near(Near::new(1 << 20))
        .build()
        .unwrap();
    let version = Arc::new(AtomicU64::new(0));
    let load = || {
        let version = Arc::clone(&version);
        move || async move {
            sleep(Duration::from_millis(50)).await;
            Ok::<_, io::Error>(version.fetch_add(1, Ordering::SeqCst))
        }
    };
    // The first load has to be waited for.
    cache.get_or_load("key", load()).await.unwrap();
    let began = Instant::now();
    let (mut calls, mut blocked) = (0_u64, 0_u64);
    let length = extent(Duration::from_secs(5), Duration::from_secs(60));
    while began.elapsed() < length {
        let fetched = cache.fetch("key", load()).await.unwrap();
        calls += 1;
        blocked += u64::from(fetched.source == Source::Loaded);
        let next = Duration::from_micros(1_000_000 / RATE * calls);
        sleep(next.saturating_sub(began.elapsed())).await;
    }
    let stats = cache.stats();
    println!(
        "{flavor}: T7 {calls} calls in {length:?}: {blocked} waited for a load; {} loads, {} early",
        stats.loads, stats.early_refreshes
    );
    assert_eq!(blocked, 0);
    assert!(stats.loads >= length.as_secs(), "it was not refreshed");
}
