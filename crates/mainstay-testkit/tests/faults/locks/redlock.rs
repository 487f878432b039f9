//! A lock over three independent servers, of which some are lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay::lock::{AcquireMajority, Lock, Redlock, RedlockGuard};
use mainstay::{ErrorKind, Mainstay};
use mainstay_testkit::fixture::{Flavor, Server};
use tokio::time::{Instant, sleep, timeout};

use super::super::{BOUND, COMMAND_TIMEOUT, SLACK, connect, extent, on_both_flavors};

on_both_flavors! {
    a_majority_has_one_holder_at_a_time_with_a_server_down_too
    a_majority_survives_the_loss_of_one_server_and_is_lost_with_two
}

const TTL: Duration = Duration::from_secs(2);

async fn servers(flavor: Flavor) -> [Server; 3] {
    let start = || Server::start(flavor);
    tokio::join!(start(), start(), start()).into()
}

/// Connections of one contender's own.
async fn contender(servers: &[Server]) -> Vec<Mainstay> {
    let mut stays = Vec::new();
    for server in servers {
        stays.push(connect(&server.url()).await);
    }
    stays
}

fn majority(stays: &[Mainstay]) -> Redlock {
    let locks = stays
        .iter()
        .map(|stay| stay.lock("report").ttl(TTL).build());
    let locks: Vec<Lock> = locks.map(Result::unwrap).collect();
    Redlock::new(locks).unwrap()
}

async fn hold(lock: &Redlock) -> RedlockGuard {
    match lock.acquire(BOUND).await.unwrap() {
        AcquireMajority::Acquired(guard) => guard,
        held @ AcquireMajority::Held => panic!("{held:?}"),
    }
}

async fn sections(lock: &Redlock, count: u32, is_inside: &AtomicBool) {
    for section in 0..count {
        let guard = hold(lock).await;
        let overlaps = is_inside.swap(true, Ordering::SeqCst);
        assert!(!overlaps, "two holders in section {section}");
        // Longer than an attempt of the other takes.
        sleep(Duration::from_millis(2)).await;
        guard.check().unwrap();
        is_inside.store(false, Ordering::SeqCst);
        guard.release().await;
    }
}

async fn a_majority_has_one_holder_at_a_time_with_a_server_down_too(flavor: Flavor) {
    let mut servers = servers(flavor).await;
    let stays = [contender(&servers).await, contender(&servers).await];
    let [ours, theirs] = stays.each_ref().map(|stays| majority(stays));
    let count = extent(20, 300);
    let is_inside = AtomicBool::new(false);
    for down in [0, 1] {
        if down == 1 {
            servers[0].kill();
        }
        let began = Instant::now();
        let both = async {
            tokio::join!(
                sections(&ours, count, &is_inside),
                sections(&theirs, count, &is_inside)
            )
        };
        timeout(4 * BOUND, both).await.expect("both go on");
        println!(
            "{flavor}: Redlock, {down} of 3 servers down: {} sections of 2 contenders in {:?}, no overlap",
            2 * count,
            began.elapsed()
        );
    }
}

async fn a_majority_survives_the_loss_of_one_server_and_is_lost_with_two(flavor: Flavor) {
    let mut servers = servers(flavor).await;
    let stays = [contender(&servers).await, contender(&servers).await];
    let [ours, theirs] = stays.each_ref().map(|stays| majority(stays));
    let guard = hold(&ours).await;
    servers[0].kill();
    let (killed, mut refused) = (Instant::now(), 0);
    while killed.elapsed() < 2 * TTL {
        guard.check().unwrap();
        let asked = Instant::now();
        let other = theirs.acquire(Duration::ZERO).await.unwrap();
        assert!(matches!(other, AcquireMajority::Held), "two holders");
        let took = asked.elapsed();
        assert!(took < COMMAND_TIMEOUT + SLACK, "{took:?}");
        refused += 1;
        sleep(Duration::from_millis(10)).await;
    }
    servers[1].kill();
    let killed = Instant::now();
    let lost = timeout(TTL + SLACK, guard.lost()).await;
    lost.expect("the loss is told");
    let told = killed.elapsed();
    guard.check().unwrap_err();

    let asked = Instant::now();
    let limit = COMMAND_TIMEOUT + SLACK;
    let outcome = timeout(limit, theirs.acquire(Duration::ZERO)).await;
    let error = outcome.expect("it is refused in time").unwrap_err();
    let took = asked.elapsed();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    // Who waits tries for as long as that, and then fails as well.
    let wait = Duration::from_secs(1);
    let outcome = timeout(wait + limit, theirs.acquire(wait)).await;
    let error = outcome.expect("it is refused in time").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");

    timeout(limit, guard.release())
        .await
        .expect("it gives up in time");
    servers[0].restart().await;
    let again = timeout(TTL + BOUND, hold(&theirs)).await;
    again
        .expect("two of three answer again")
        .check()
        .expect("it is held");
    println!(
        "{flavor}: Redlock: held with 1 of 3 servers down, {refused} attempts of others refused; lost {told:?} after the second was killed, ttl {TTL:?}; refused in {took:?} then"
    );
}
