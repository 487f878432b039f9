//! The primary that sentinels watch is lost.

use std::cell::Cell;
use std::time::Duration;

use mainstay::backend::Status;
use mainstay_testkit::fixture::{Flavor, SentinelSet, eventually};
use tokio::time::Instant;

use super::{connect, in_time, on_both_flavors};

/// How soon a failover must be over, detection included.
const FAILOVER: Duration = Duration::from_secs(15);

on_both_flavors! {
    calls_work_again_after_the_primary_is_killed
}

async fn calls_work_again_after_the_primary_is_killed(flavor: Flavor) {
    let mut set = SentinelSet::start(flavor).await;
    let stay = connect(&set.url()).await;
    let cache = stay.cache::<u32>("numbers").build().unwrap();
    cache.set("key", &1).await.unwrap();
    set.kill_primary().await;
    let killed = Instant::now();
    let failures = Cell::new(0);
    eventually("a write works", FAILOVER, async || {
        let outcome = in_time("cache.set", cache.set("key", &2)).await;
        failures.set(failures.get() + u32::from(outcome.is_err()));
        outcome.map_err(|error| format!("{error:?}"))
    })
    .await;
    println!(
        "{flavor}: works {:?} after the primary was killed",
        killed.elapsed()
    );
    assert!(failures.get() > 0, "the loss of the primary went unnoticed");
    eventually("status up", FAILOVER, async || match stay.status() {
        Status::Up => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(cache.get("key").await.unwrap(), Some(2));
}
