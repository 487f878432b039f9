//! Invalidations that could not be sent: nobody is served what they were to take away.

use futures_util::future::join_all;
use mainstay::cache::Cache;
use mainstay::{ErrorKind, Mainstay};
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use tokio::time::{Instant, sleep};

use super::super::{BOUND, COMMAND_TIMEOUT, SLACK, durable, on_both_flavors};
use super::{NEAR, nimble};

on_both_flavors! {
    t6_an_invalidation_that_could_not_be_sent_is_sent_before_the_backend_is_trusted
    t6_an_invalidation_that_was_refused_for_now_holds_while_near_caches_are_coherent
    t6_what_is_owed_outlives_the_handle_and_binds_the_others
    t6_many_callers_wait_for_one_attempt_to_send_what_is_owed
}

fn tagged(stay: &Mainstay) -> Cache<u64> {
    let cache = stay.cache::<u64>("numbers").tag("all");
    cache.near(NEAR).build().unwrap()
}

async fn loss_is_seen(stay: &Mainstay) {
    eventually("the loss is seen", BOUND, async || match stay.status() {
        mainstay::backend::Status::Down => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// The first answer at all that is no error.
async fn first_answer(cache: &Cache<u64>, key: &str) -> Option<u64> {
    eventually("an answer", BOUND, async || {
        cache.get(key).await.map_err(|error| error.to_string())
    })
    .await
}

async fn t6_an_invalidation_that_could_not_be_sent_is_sent_before_the_backend_is_trusted(
    flavor: Flavor,
) {
    let mut server = durable(flavor).await;
    let stay = nimble(&server.url()).await;
    let cache = tagged(&stay);
    for key in ["by-key", "by-tag"] {
        cache.set(key, &1).await.unwrap();
    }
    for key in ["by-key", "by-tag"] {
        server.kill();
        loss_is_seen(&stay).await;
        let error = match key {
            "by-key" => cache.remove(key).await.unwrap_err(),
            _ => cache.invalidate_tags(["all"]).await.unwrap_err(),
        };
        // Unknown if another connection than the one for commands was the first to see the loss.
        let kinds = [ErrorKind::Unavailable, ErrorKind::Unknown];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert!(error.to_string().contains("it will be"), "{error}");
        server.restart().await;
        assert_eq!(first_answer(&cache, key).await, None, "{key}");
    }
    println!("{flavor}: T6 owed invalidations were paid before the first read");
}

/// The server answers reads and heartbeats all the time: nothing else keeps a near hit away.
async fn t6_an_invalidation_that_was_refused_for_now_holds_while_near_caches_are_coherent(
    flavor: Flavor,
) {
    let server = Server::start(flavor).await;
    let cache = tagged(&nimble(&server.url()).await);
    for (round, refuse, allow) in [
        (
            0,
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
        (
            1,
            ["REPLICAOF", "127.0.0.1", "1", ""],
            ["REPLICAOF", "NO", "ONE", ""],
        ),
    ] {
        for key in ["by-key", "by-tag"] {
            cache.set(key, &round).await.unwrap();
            for _ in 0..3 {
                assert_eq!(cache.get(key).await.unwrap(), Some(round));
            }
            let words =
                |words: [&'static str; 4]| words.into_iter().filter(|word| !word.is_empty());
            let command = async |all: [&'static str; 4]| {
                let all: Vec<_> = words(all).collect();
                assert_eq!(server.command(&all).await.text(), "OK");
            };
            command(refuse).await;
            let error = match key {
                "by-key" => cache.remove(key).await.unwrap_err(),
                _ => cache.invalidate_tags(["all"]).await.unwrap_err(),
            };
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            let began = Instant::now();
            while began.elapsed() < std::time::Duration::from_millis(700) {
                match cache.get(key).await {
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
                    Ok(found) => panic!("{found:?} was served under {key}"),
                }
                let loaded = cache.get_or_load(key, || async { Ok::<_, std::io::Error>(9) });
                assert_eq!(loaded.await.unwrap(), 9);
                sleep(std::time::Duration::from_millis(20)).await;
            }
            command(allow).await;
            assert_eq!(first_answer(&cache, key).await, None, "{key}");
        }
    }
    println!("{flavor}: T6 nothing was served near while its invalidation was owed");
}

async fn t6_what_is_owed_outlives_the_handle_and_binds_the_others(flavor: Flavor) {
    let mut server = durable(flavor).await;
    let stay = nimble(&server.url()).await;
    let (ours, other) = (tagged(&stay), tagged(&stay));
    ours.set("key", &1).await.unwrap();
    assert_eq!(other.get("key").await.unwrap(), Some(1));
    server.kill();
    loss_is_seen(&stay).await;
    ours.remove("key").await.unwrap_err();
    drop(ours);
    server.restart().await;
    assert_eq!(first_answer(&other, "key").await, None);

    // Nobody reads, and no handle is left: it is sent all the same.
    other.set("key", &1).await.unwrap();
    server.kill();
    loss_is_seen(&stay).await;
    other.remove("key").await.unwrap_err();
    drop(other);
    server.restart().await;
    eventually("the removal", BOUND, async || {
        match server
            .command(&["EXISTS", "cache:numbers:key"])
            .await
            .integer()
        {
            0 => Ok(()),
            found => Err(format!("{found} left")),
        }
    })
    .await;
}

async fn t6_many_callers_wait_for_one_attempt_to_send_what_is_owed(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = nimble(&server.url()).await;
    let cache = tagged(&stay);
    cache.set("key", &1).await.unwrap();
    server.stop();
    cache.clear().await.unwrap_err();
    let began = Instant::now();
    let calls = (0..200).map(|number| {
        let cache = cache.clone();
        async move { cache.get(format!("k{}", number % 20)).await.unwrap_err() }
    });
    join_all(calls).await;
    let waited = began.elapsed();
    server.cont();
    println!("{flavor}: T6 200 callers waited {waited:?} for one attempt to pay");
    // What is owed, once more by one who came during an attempt that failed, and the read.
    assert!(waited < 3 * COMMAND_TIMEOUT + SLACK, "{waited:?}");
    assert_eq!(first_answer(&cache, "key").await, None);
}
