//! A server that is restarted under a holder: what it kept is kept, and what it lost is told.

use std::time::Duration;

use mainstay::clock::{Clock, SystemClock};
use mainstay::lock::{Acquire, Release};
use mainstay_testkit::fixture::{Flavor, Persistence, Server};
use tokio::time::{Instant, sleep, timeout};

use super::super::{SLACK, connect, extent, on_both_flavors};
use super::queue::hold;

on_both_flavors! {
    l3_a_lock_that_the_server_saves_is_kept_through_restarts
    l3_a_lock_that_the_server_forgets_is_lost_in_time_and_fences_rise_above_it
    l3_a_lock_is_lost_at_its_deadline_while_the_server_stays_away
}

async fn l3_a_lock_that_the_server_saves_is_kept_through_restarts(flavor: Flavor) {
    const TTL: Duration = Duration::from_secs(3);
    let builder = Server::builder(flavor).persistence(Persistence::Aof);
    let mut server = builder.start().await;
    let (ours, theirs) = (connect(&server.url()).await, connect(&server.url()).await);
    let lock = |stay: &mainstay::Mainstay| stay.lock("report").ttl(TTL).build().unwrap();
    let (ours, theirs) = (lock(&ours), lock(&theirs));
    let guard = hold(&ours).await;
    let (restarts, mut refused) = (extent(2, 10), 0);
    for restart in 0..restarts {
        server.kill();
        // Some of the lease is left, so that the server comes back with it.
        sleep(TTL / 4).await;
        server.restart().await;
        let returned = Instant::now();
        // For longer than the lock had left: it must be renewed.
        while returned.elapsed() < TTL + SLACK {
            match theirs.try_acquire().await {
                Ok(Acquire::Held { .. }) => refused += 1,
                Ok(Acquire::Acquired(_)) => panic!("restart {restart}: two holders"),
                // The connection may still be that to the server before.
                Err(error) => assert!(returned.elapsed() < TTL, "restart {restart}: {error:?}"),
            }
            guard.check().unwrap();
            sleep(Duration::from_millis(20)).await;
        }
        let seen = theirs.inspect().await.unwrap().holding;
        let seen = seen.expect("it is held").fence;
        assert_eq!(seen, Some(guard.fence()), "restart {restart}");
    }
    assert!(refused > 0);
    let fence = guard.fence();
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    assert!(hold(&theirs).await.fence() > fence);
    println!(
        "{flavor}: L3 {restarts} restarts with an append-only file: kept, same fence, {refused} attempts of others refused"
    );
}

async fn l3_a_lock_that_the_server_forgets_is_lost_in_time_and_fences_rise_above_it(
    flavor: Flavor,
) {
    const TTL: Duration = Duration::from_secs(2);
    let mut server = Server::start(flavor).await;
    let (ours, theirs) = (connect(&server.url()).await, connect(&server.url()).await);
    let lock = |stay: &mainstay::Mainstay| stay.lock("report").ttl(TTL).build().unwrap();
    let (ours, theirs) = (lock(&ours), lock(&theirs));
    let (rounds, mut slowest, mut fence) = (extent(3, 20), Duration::ZERO, 0);
    for round in 0..rounds {
        let guard = hold(&ours).await;
        assert!(guard.fence().get() > fence, "round {round}");
        fence = guard.fence().get();
        server.kill();
        let killed = Instant::now();
        server.restart().await;
        // At once: the fence is what keeps the first one out until it knows.
        let other = hold(&theirs).await;
        assert!(other.fence().get() > fence, "round {round}");
        fence = other.fence().get();
        timeout(TTL + SLACK, guard.lost())
            .await
            .expect("the loss is told");
        slowest = slowest.max(killed.elapsed());
        guard.check().unwrap_err();
        assert_eq!(guard.release().await.unwrap(), Release::NotHeld);
        other.check().unwrap();
        assert_eq!(other.release().await.unwrap(), Release::Released);
    }
    println!(
        "{flavor}: L3 {rounds} restarts without persistence: each loss was known {slowest:?} after the kill at most, ttl {TTL:?}, fences rose"
    );
    assert!(slowest < TTL + SLACK, "{slowest:?}");
}

async fn l3_a_lock_is_lost_at_its_deadline_while_the_server_stays_away(flavor: Flavor) {
    const TTL: Duration = Duration::from_secs(1);
    let (rounds, mut latest) = (extent(2, 10), Duration::ZERO);
    for persistence in [Persistence::None, Persistence::Aof] {
        let builder = Server::builder(flavor).persistence(persistence);
        let mut server = builder.start().await;
        let stay = connect(&server.url()).await;
        let lock = stay.lock("report").ttl(TTL).build().unwrap();
        let mut fence = 0;
        for round in 0..rounds {
            let guard = hold(&lock).await;
            assert!(guard.fence().get() > fence, "round {round}");
            fence = guard.fence().get();
            server.kill();
            let killed = Instant::now();
            timeout(TTL + SLACK, guard.lost())
                .await
                .expect("the loss is told");
            let late = SystemClock.now().since(guard.deadline());
            latest = latest.max(late);
            guard.check().unwrap_err();
            // Nothing that the server says later gives it back.
            sleep((TTL + SLACK).saturating_sub(killed.elapsed())).await;
            server.restart().await;
            let other = hold(&lock).await;
            assert!(other.fence().get() > fence, "round {round}");
            fence = other.fence().get();
            guard.check().unwrap_err();
            assert_eq!(guard.release().await.unwrap(), Release::NotHeld);
            assert_eq!(other.release().await.unwrap(), Release::Released);
        }
    }
    println!(
        "{flavor}: L3 {} times down for longer than the ttl: each loss was known {latest:?} after the deadline at most, fences rose",
        2 * rounds
    );
    assert!(latest < SLACK, "{latest:?}");
}
