//! A primary of a cluster is lost.

use std::cell::Cell;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::ratelimit::Policy;
use mainstay_testkit::fixture::{Cluster, Flavor, eventually};
use tokio::time::Instant;

use super::{connect, in_time, on_both_flavors};

/// How soon a failover must be over, detection included.
const FAILOVER: Duration = Duration::from_secs(15);
/// Enough for every third of the slots to get its share.
const KEYS: u32 = 60;

on_both_flavors! {
    all_slots_work_again_after_a_primary_is_killed
}

/// Calls on keys all over the slots; all are called, whatever the others say.
async fn call_all_slots(stay: &Mainstay) -> Result<(), String> {
    let cache = stay.cache::<u32>("numbers").build().unwrap();
    let sessions = stay.sessions::<u32>().build().unwrap();
    let policy = Policy::window("api", 1_000_000, Duration::from_secs(60)).unwrap();
    let limiter = stay.limiter(policy);
    let mut failures = Vec::new();
    for number in 0..KEYS {
        let key = format!("key-{number}");
        let lock = stay.lock(&key).build().unwrap();
        let outcomes = [
            in_time("cache.set", cache.set(&key, &number)).await,
            in_time("sessions.create", sessions.create(&key, &1))
                .await
                .map(drop),
            in_time("limiter.check", limiter.check(&key))
                .await
                .map(drop),
            in_time("lock.try_acquire", lock.try_acquire())
                .await
                .map(drop),
        ];
        failures.extend(outcomes.into_iter().filter_map(Result::err));
    }
    match failures.last() {
        None => Ok(()),
        Some(last) => Err(format!("{} failures, the last: {last:?}", failures.len())),
    }
}

async fn all_slots_work_again_after_a_primary_is_killed(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor, 3, 1).await;
    let stay = connect(&cluster.url()).await;
    call_all_slots(&stay).await.unwrap();
    cluster.kill(0);
    let killed = Instant::now();
    let failed_rounds = Cell::new(0);
    eventually("all slots work", FAILOVER, async || {
        let outcome = call_all_slots(&stay).await;
        failed_rounds.set(failed_rounds.get() + u32::from(outcome.is_err()));
        outcome
    })
    .await;
    println!(
        "{flavor}: all slots work {:?} after a primary was killed ({} failed rounds)",
        killed.elapsed(),
        failed_rounds.get(),
    );
    // The dead node held slots, so its loss cannot have gone unnoticed.
    assert!(failed_rounds.get() > 0);
    let cache = stay.cache::<u32>("numbers").build().unwrap();
    for number in 0..KEYS {
        assert_eq!(
            cache.get(format!("key-{number}")).await.unwrap(),
            Some(number)
        );
    }
}
