//! Holders whose connection, or whose lock, is taken away.

use std::time::Duration;

use mainstay::lock::Acquire;
use mainstay_testkit::fixture::{Flavor, Server};
use tokio::time::{Instant, sleep, timeout};

use super::super::{connect, extent, on_both_flavors};
use super::queue::hold;

on_both_flavors! {
    l5_a_holder_whose_connections_are_killed_all_the_time_keeps_its_lock
    l7_a_holder_learns_that_its_lock_was_flushed_or_evicted_and_fences_rise_above_it
}

async fn l5_a_holder_whose_connections_are_killed_all_the_time_keeps_its_lock(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let lock = stay
        .lock("report")
        .ttl(Duration::from_secs(2))
        .build()
        .unwrap();
    let guard = hold(&lock).await;
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < extent(Duration::from_secs(3), Duration::from_secs(10)) {
        kills += server
            .command(&["CLIENT", "KILL", "TYPE", "normal"])
            .await
            .integer();
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        assert!(guard.check().is_ok(), "lost after {:?}", began.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    println!(
        "{flavor}: L5 0 losses in {:?}, {kills} connections killed",
        began.elapsed()
    );
    assert!(kills > 10, "{kills}");
    assert_eq!(
        server.command(&["EXISTS", "lock:report"]).await.integer(),
        1
    );
}

/// All that there is; the lock alone; the lock and what is remembered beside it; and what a server
/// throws away that has no room.
const LOSSES: [&[&[&str]]; 4] = [
    &[&["FLUSHALL"]],
    &[&["DEL", "lock:report"]],
    &[&["DEL", "lock:report", "{lock:report}:f"]],
    &[
        &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
        &["CONFIG", "SET", "maxmemory", "1"],
        // It makes room first, and then still has none.
        &["SET", "more", "than fits"],
        &["CONFIG", "SET", "maxmemory", "0"],
    ],
];

async fn l7_a_holder_learns_that_its_lock_was_flushed_or_evicted_and_fences_rise_above_it(
    flavor: Flavor,
) {
    const TTL: Duration = Duration::from_millis(1_500);
    let server = Server::start(flavor).await;
    let (ours, theirs) = (connect(&server.url()).await, connect(&server.url()).await);
    let lock = |stay: &mainstay::Mainstay| stay.lock("report").ttl(TTL).build().unwrap();
    let (ours, theirs) = (lock(&ours), lock(&theirs));
    let rounds = extent(1, 20);
    let (mut fence, mut slowest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        for loss in LOSSES {
            let guard = hold(&ours).await;
            assert!(guard.fence().get() > fence, "the fence fell after {loss:?}");
            fence = guard.fence().get();
            for command in loss {
                server.command(command).await;
            }
            let left = server.command(&["EXISTS", "lock:report"]).await;
            assert_eq!(left.integer(), 0, "{loss:?}");
            let lost_at = Instant::now();
            // Another may take it at once: the fence is what keeps the first one out.
            let Acquire::Acquired(other) = theirs.try_acquire().await.unwrap() else {
                panic!("nobody holds it any more");
            };
            assert!(other.fence().get() > fence, "the fence fell after {loss:?}");
            fence = other.fence().get();
            timeout(TTL, guard.lost())
                .await
                .expect("it hears of it in time");
            slowest = slowest.max(lost_at.elapsed());
            assert!(guard.check().is_err());
            // What was lost does not take away what another has.
            drop(guard);
            sleep(Duration::from_millis(50)).await;
            assert!(other.check().is_ok());
            other.release().await.unwrap();
        }
    }
    let stats = server.command(&["INFO", "stats"]).await;
    let evicted = stats
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("evicted_keys:"));
    let evicted: u32 = evicted.expect("it is counted").parse().unwrap();
    println!(
        "{flavor}: L7 {} locks flushed, deleted or evicted ({evicted} keys): each loss was known after at most {slowest:?}, ttl {TTL:?}, fences rose",
        rounds * LOSSES.len()
    );
    assert!(evicted > 0);
}
