//! Loads that fail, panic, are abandoned or die with their process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mainstay::ErrorKind;
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::super::{BOUND, connect, extent, on_both_flavors, worker::Worker};
use super::{keys, numbers};

/// A lease, and what scheduling adds.
const TAKE_OVER: Duration = Duration::from_millis(3_500);

on_both_flavors! {
    t2_a_failed_load_reaches_every_waiter_once
    t2_a_panic_reaches_those_who_wait_elsewhere
    t2_a_dropped_caller_does_not_end_the_load
    t2_a_waiter_takes_over_from_a_killed_process
}

async fn no_leases(server: &Server) {
    eventually("no lease is left", BOUND, async || {
        match keys(server, "{cache:*}:l").await {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        }
    })
    .await;
}

async fn t2_a_failed_load_reaches_every_waiter_once(flavor: Flavor) {
    const CALLERS: u64 = 100;
    let server = Server::start(flavor).await;
    let url = server.url();
    let mut workers = [Worker::cache(&url).await, Worker::cache(&url).await];
    for round in 0..extent(2, 20) {
        let work = format!("fail key-{round} {CALLERS}");
        for worker in &mut workers {
            worker.begin(&work).await;
        }
        let [first, second] = &mut workers;
        let answers = [first.answer().await, second.answer().await];
        let loads: u64 = answers.iter().filter_map(|a| a["loads"].as_u64()).sum();
        // One load, or two when the second process came after the first had failed.
        assert!((1..=2).contains(&loads), "{answers:?}");
        for answer in &answers {
            assert_eq!(answer["failed"], CALLERS, "{answers:?}");
            let error = answer["errors"][0].as_str().unwrap();
            assert!(error.starts_with("loader of cache work failed"), "{error}");
        }
        println!(
            "{flavor}: T2 failed load: {loads} loads, {} told",
            2 * CALLERS
        );
    }
    no_leases(&server).await;
}

async fn t2_a_panic_reaches_those_who_wait_elsewhere(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let (ours, theirs) = (connect(&server.url()).await, connect(&server.url()).await);
    let (ours, theirs) = (numbers(&ours), numbers(&theirs));
    let (began, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, ends) = (Arc::clone(&began), Arc::clone(&end));
    let load = move || async move {
        starts.notify_one();
        ends.notified().await;
        panic!("a loader that panics on purpose");
        #[expect(unreachable_code, reason = "gives the loader its type")]
        Ok::<u64, io::Error>(0)
    };
    let waiting = async {
        began.notified().await;
        let never = || async { Err::<u64, _>(io::Error::other("not to be called")) };
        let waited = theirs.get_or_load("key", never);
        let ending = async {
            eventually("a wait", BOUND, async || match theirs.stats().waits {
                0 => Err("none".to_owned()),
                _ => Ok(()),
            })
            .await;
            end.notify_one();
        };
        tokio::join!(waited, ending).0
    };
    let (loaded, waited) = tokio::join!(ours.get_or_load("key", load), waiting);
    for error in [loaded.unwrap_err(), waited.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert_eq!(error.to_string(), "loader of cache numbers panicked");
    }
    no_leases(&server).await;
    let load = || async { Ok::<_, io::Error>(7) };
    assert_eq!(theirs.get_or_load("key", load).await.unwrap(), 7);
}

async fn t2_a_dropped_caller_does_not_end_the_load(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let cache = numbers(&stay);
    let (began, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, ends) = (Arc::clone(&began), Arc::clone(&end));
    let load = move || async move {
        starts.notify_one();
        ends.notified().await;
        Ok::<u64, io::Error>(7)
    };
    tokio::select! {
        outcome = cache.get_or_load("key", load) => panic!("it is held back: {outcome:?}"),
        () = began.notified() => {}
    }
    end.notify_one();
    eventually(
        "the value of the abandoned load",
        BOUND,
        async || match cache.get("key").await.unwrap() {
            Some(7) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    assert_eq!(cache.stats().loads, 1);
    no_leases(&server).await;
}

async fn t2_a_waiter_takes_over_from_a_killed_process(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let mut holder = Worker::cache(&server.url()).await;
    let mut waiter = Worker::cache(&server.url()).await;
    holder.ask("hang key").await;
    waiter.begin("stampede key 100 1 tag|value").await;
    // The holder lives: its lease is renewed, and nobody else loads.
    assert!(
        timeout(
            extent(Duration::from_secs(4), Duration::from_secs(10)),
            waiter.answer()
        )
        .await
        .is_err()
    );
    holder.kill().await;
    let killed = Instant::now();
    let answer = waiter.answer().await;
    let took = killed.elapsed();
    println!("{flavor}: T2 a waiter took over {took:?} after the holder was killed");
    assert_eq!(
        (&answer["loads"], &answer["served"]),
        (&1.into(), &100.into())
    );
    assert!(took < TAKE_OVER, "{took:?}");
    no_leases(&server).await;
}
