//! A replica that has never heard of a lock becomes the primary.

use std::time::Duration;

use mainstay::Mainstay;
use mainstay::lock::{Acquire, Lock, LockGuard, Release};
use mainstay_testkit::fixture::{Flavor, SentinelSet, Server, eventually};
use tokio::time::{Instant, timeout};

use super::super::{BOUND, SLACK, connect, extent, on_both_flavors};
use super::queue::hold;

on_both_flavors! {
    l9_a_lock_that_no_replica_has_is_lost_in_time_and_fences_rise_above_it
}

/// Ends before there is a new primary.
const BRIEF: Duration = Duration::from_millis(1_500);
/// Does not: the new primary says that it is not held.
const LONG: Duration = Duration::from_secs(20);

/// Ends replication: the replicas keep what they have and may be promoted, but get no more.
async fn pause_replication(primary: &Server) {
    let forbidden = ["ACL", "SETUSER", "default", "-psync", "-sync"];
    assert_eq!(primary.command(&forbidden).await.text(), "OK");
    let killed = primary.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    assert_eq!(killed.await.integer(), 2);
}

/// Waits until the sentinels' new primary gives a lock out.
async fn take_after_failover(lock: &Lock) -> LockGuard {
    eventually("the lock is given out", BOUND, async || {
        match lock.try_acquire().await {
            Ok(Acquire::Acquired(guard)) => Ok(guard),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn l9_a_lock_that_no_replica_has_is_lost_in_time_and_fences_rise_above_it(flavor: Flavor) {
    let mut set = SentinelSet::start(flavor).await;
    let (ours, theirs) = (connect(&set.url()).await, connect(&set.url()).await);
    let locks = |stay: &Mainstay| {
        let brief = stay.lock("brief").ttl(BRIEF).build().unwrap();
        (brief, stay.lock("long").ttl(LONG).build().unwrap())
    };
    let ((brief, long), (their_brief, their_long)) = (locks(&ours), locks(&theirs));
    let (rounds, mut fence) = (extent(1, 5), 0);
    let (mut slowest_brief, mut slowest_long) = (Duration::ZERO, Duration::ZERO);
    for round in 0..rounds {
        // What replicas know of it is older than what is lost.
        for lock in [&brief, &long] {
            take_after_failover(lock).await.release().await.unwrap();
        }
        let addr = set.primary_addr().await;
        let primary = set.nodes().iter().find(|node| node.addr() == addr);
        pause_replication(primary.expect("one of the nodes")).await;
        let (guard, other_guard) = (hold(&brief).await, hold(&long).await);
        for guard in [&guard, &other_guard] {
            assert!(guard.fence().get() > fence, "round {round}");
        }
        fence = guard.fence().max(other_guard.fence()).get();
        for replica in set.nodes().iter().filter(|node| node.addr() != addr) {
            let known = replica.command(&["EXISTS", "lock:brief", "lock:long"]);
            assert_eq!(known.await.integer(), 0, "a replica has the lock");
        }
        let dead = set.kill_primary().await;
        let killed = Instant::now();
        let brief_is_lost = async {
            let lost = timeout(BRIEF + SLACK, guard.lost()).await;
            lost.expect("the loss is told");
            killed.elapsed()
        };
        let long_is_lost = async {
            let lost = timeout(LONG + SLACK, other_guard.lost()).await;
            lost.expect("the loss is told");
            killed.elapsed()
        };
        let others = async {
            let brief = take_after_failover(&their_brief).await;
            (brief, take_after_failover(&their_long).await)
        };
        let (brief_lost, long_lost, (brief_other, long_other)) =
            tokio::join!(brief_is_lost, long_is_lost, others);
        slowest_brief = slowest_brief.max(brief_lost);
        slowest_long = slowest_long.max(long_lost);
        let lowest = brief_other.fence().min(long_other.fence()).get();
        assert!(lowest > fence, "round {round}: the fence fell");
        fence = brief_other.fence().max(long_other.fence()).get();
        for lost in [guard, other_guard] {
            lost.check().unwrap_err();
            assert_eq!(lost.release().await.unwrap(), Release::NotHeld);
        }
        for other in [brief_other, long_other] {
            other.check().unwrap();
            assert_eq!(other.release().await.unwrap(), Release::Released);
        }
        set.restart(dead).await;
        set.wait_ok().await;
    }
    println!(
        "{flavor}: L9 {rounds} promotions of a replica without the lock: losses known {slowest_brief:?} (ttl {BRIEF:?}) and {slowest_long:?} (ttl {LONG:?}) after the kill at most, fences rose"
    );
}
