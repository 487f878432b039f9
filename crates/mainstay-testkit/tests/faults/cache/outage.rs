//! A backend that is away, empty, loading or read-only.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mainstay::cache::{Cache, Source, StaleReason};
use mainstay::{ErrorKind, Mainstay, Options};
use mainstay_testkit::fixture::{Flavor, Persistence, Reply, Server, eventually};
use tokio::time::{Instant, sleep};

use super::super::{BOUND, COMMAND_TIMEOUT, extent, in_time, on_both_flavors};
use super::{NEAR, from_source, info_number, nimble, numbers};

on_both_flavors! {
    t6_a_backend_that_is_down_at_the_start_costs_no_waiting
    t6_a_frozen_backend_costs_bounded_waits_and_stale_values_are_marked
    t6_a_flush_and_an_empty_restart_leave_nothing_behind
    t6_errors_of_the_server_cost_the_caller_nothing
    t6_one_load_a_key_runs_while_the_backend_stays_away
    t6_a_backend_that_loads_its_data_costs_no_waiting
}

/// A cache that may serve stale values when nothing better can be had.
fn lenient(stay: &Mainstay) -> Cache<u64> {
    stay.cache("lenient")
        .ttl(Duration::from_secs(300))
        .stale_if_error(Duration::from_secs(300))
        .near(NEAR)
        .build()
        .unwrap()
}

async fn t6_a_backend_that_is_down_at_the_start_costs_no_waiting(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    server.kill();
    let options = Options::new()
        .command_timeout(COMMAND_TIMEOUT)
        .in_background();
    let stay = options.connect(&server.url()).await.unwrap();
    let cache = numbers(&stay);
    let source = Arc::new(AtomicU64::new(1));
    let began = Instant::now();
    for key in 0..20 {
        let load = from_source(&source);
        let got = in_time("get_or_load", cache.get_or_load(&format!("k{key}"), load)).await;
        assert_eq!(got.unwrap(), 1);
        let error = in_time("get", cache.get("k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    println!(
        "{flavor}: T6 20 loads while down from the start took {:?}",
        began.elapsed()
    );
    server.restart().await;
    works(&cache, &source).await;
}

/// Waits until a value is kept near again.
async fn works(cache: &Cache<u64>, source: &Arc<AtomicU64>) {
    eventually("near hits", BOUND, async || {
        let before = cache.stats().near_hits;
        for _ in 0..3 {
            let read = cache.get_or_load("after", from_source(source)).await;
            read.map_err(|error| error.to_string())?;
        }
        match cache.stats().near_hits - before {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

async fn t6_a_frozen_backend_costs_bounded_waits_and_stale_values_are_marked(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = nimble(&server.url()).await;
    let (strict, lenient) = (numbers(&stay), lenient(&stay));
    let source = Arc::new(AtomicU64::new(1));
    for cache in [&strict, &lenient] {
        for _ in 0..3 {
            cache
                .get_or_load("key", from_source(&source))
                .await
                .unwrap();
        }
    }
    server.stop();
    let frozen = Instant::now();
    source.store(2, std::sync::atomic::Ordering::SeqCst);
    let (mut stale, mut loaded, mut longest) = (0, 0, Duration::ZERO);
    while frozen.elapsed() < extent(Duration::from_secs(4), Duration::from_secs(10)) {
        for (cache, may_be_stale) in [(&strict, false), (&lenient, true)] {
            let began = Instant::now();
            let fetched = in_time("fetch", cache.fetch("key", from_source(&source))).await;
            longest = longest.max(began.elapsed());
            let fetched = fetched.unwrap();
            match fetched.source {
                Source::Near => assert!(
                    frozen.elapsed() < NEAR_BOUND,
                    "a near hit {:?} after the server froze",
                    frozen.elapsed()
                ),
                Source::Stale(StaleReason::BackendDown) => {
                    assert!(may_be_stale, "stale where it is not allowed");
                    assert!(fetched.age > Duration::ZERO);
                    stale += 1;
                }
                Source::Loaded => {
                    assert_eq!(fetched.value, 2);
                    loaded += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{flavor}: T6 frozen: {stale} stale and marked, {loaded} loaded, longest wait {longest:?}"
    );
    assert!(stale > 0 && loaded > 0);
    server.cont();
    works(&strict, &source).await;
    works(&lenient, &source).await;
}

/// The bound and what a read that began within it may take.
const NEAR_BOUND: Duration = super::STALENESS.saturating_add(Duration::from_millis(100));

async fn t6_a_flush_and_an_empty_restart_leave_nothing_behind(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    let stay = nimble(&server.url()).await;
    let cache = numbers(&stay);
    let fill = async || {
        for key in 0..100_u64 {
            let key = format!("k{key}");
            cache.set(&key, &1).await.unwrap();
            assert_eq!(cache.get(&key).await.unwrap(), Some(1));
        }
    };
    let count = async || -> mainstay::Result<usize> {
        let mut found = 0;
        for key in 0..100_u64 {
            found += usize::from(cache.get(&format!("k{key}")).await?.is_some());
        }
        Ok(found)
    };
    fill().await;
    server.command(&["FLUSHALL"]).await;
    let flushed = Instant::now();
    eventually("an empty cache", super::STALENESS, async || {
        match count().await {
            Ok(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    println!(
        "{flavor}: T6 a flush was seen after {:?}",
        flushed.elapsed()
    );
    fill().await;
    server.kill();
    server.restart().await;
    eventually("an empty cache", BOUND, async || match count().await {
        Ok(0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    fill().await;
    assert_eq!(count().await.unwrap(), 100);
}

async fn t6_errors_of_the_server_cost_the_caller_nothing(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = nimble(&server.url()).await;
    let cache = numbers(&stay);
    let source = Arc::new(AtomicU64::new(1));
    // -READONLY: the node has become a replica of one that is not there.
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    for key in 0..5 {
        let load = from_source(&source);
        let got = in_time("get_or_load", cache.get_or_load(&format!("ro{key}"), load)).await;
        assert_eq!(got.unwrap(), 1);
    }
    server.command(&["REPLICAOF", "NO", "ONE"]).await;
    works(&cache, &source).await;

    // A load error is the loader's, not the backend's.
    let failed = cache.get_or_load("fails", || async { Err::<u64, _>(io::Error::other("no")) });
    assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Loader);
    println!("{flavor}: T6 -READONLY: every load was answered in time");
}

async fn t6_one_load_a_key_runs_while_the_backend_stays_away(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    let stay = nimble(&server.url()).await;
    let cache = numbers(&stay);
    let source = Arc::new(AtomicU64::new(1));
    works(&cache, &source).await;
    server.kill();
    eventually("the loss is seen", BOUND, async || {
        match cache.get("other").await {
            Err(_) => Ok(()),
            Ok(found) => Err(format!("{found:?}")),
        }
    })
    .await;
    // What is owed on the key is tried for each caller, and every 500 ms.
    cache.remove("slow").await.unwrap_err();
    let loads = cache.stats().loads;
    let slow = || async {
        // Long enough for several attempts to connect.
        sleep(Duration::from_secs(2)).await;
        Ok::<_, io::Error>(7)
    };
    let mut calls = Vec::new();
    for _ in 0..18 {
        let cache = cache.clone();
        calls.push(tokio::spawn(async move {
            cache.get_or_load("slow", slow).await
        }));
        sleep(Duration::from_millis(100)).await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 7);
    }
    assert_eq!(cache.stats().loads - loads, 1);
}

async fn t6_a_backend_that_loads_its_data_costs_no_waiting(flavor: Flavor) {
    const KEYS: u32 = 400;
    let mut server = Server::builder(flavor)
        .persistence(Persistence::Aof)
        // From the second start on: 400 keys of 10 ms each.
        .arg("key-load-delay", "10000")
        .arg("loading-process-events-interval-bytes", "1024")
        .start()
        .await;
    let stay = nimble(&server.url()).await;
    let cache = numbers(&stay);
    for key in 0..KEYS {
        let value = format!("{key:0100}");
        let set = ["SET", &format!("ballast{key}"), &value];
        server.command(&set).await;
    }
    server.command(&["BGREWRITEAOF"]).await;
    eventually("one file of all keys", BOUND, async || {
        let done = info_number(&server, "persistence", "aof_base_size").await;
        if done > 10_000 {
            Ok(())
        } else {
            Err(format!("{done} bytes"))
        }
    })
    .await;
    cache.set("key", &7).await.unwrap();
    server.kill();
    server.restart_loading().await;
    let source = Arc::new(AtomicU64::new(1));
    let (mut while_loading, mut longest) = (0, Duration::ZERO);
    loop {
        let reply = server.command(&["PING"]).await;
        if reply == Reply::Status("PONG".to_owned()) {
            break;
        }
        let began = Instant::now();
        let load = from_source(&source);
        let got = in_time("get_or_load", cache.get_or_load("loaded", load)).await;
        longest = longest.max(began.elapsed());
        assert_eq!(got.unwrap(), 1);
        while_loading += 1;
        sleep(Duration::from_millis(20)).await;
    }
    println!("{flavor}: T6 -LOADING: {while_loading} loads meanwhile, longest wait {longest:?}");
    assert!(while_loading > 3);
    works(&cache, &source).await;
    assert_eq!(cache.get("key").await.unwrap(), Some(7));
}
