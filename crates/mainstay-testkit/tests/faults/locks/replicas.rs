//! Locks that count as acquired once replicas have them.

use std::time::Duration;

use mainstay::lock::{Acquire, Lock, Release};
use mainstay::{ErrorKind, Mainstay};
use mainstay_testkit::fixture::{Flavor, Reply, Server, eventually};
use tokio::time::{Instant, timeout};

use super::super::{BOUND, COMMAND_TIMEOUT, SLACK, connect, extent, on_both_flavors};
use super::queue::hold;

on_both_flavors! {
    a_lock_that_too_few_replicas_acknowledge_is_refused_in_time_and_free
}

async fn replica_of(primary: &Server) -> Server {
    let of = format!("127.0.0.1 {}", primary.port());
    let builder = Server::builder(primary.flavor()).arg("replicaof", of);
    let replica = builder.start().await;
    eventually("the replica is linked", BOUND, async || {
        match replica.command(&["ROLE"]).await {
            Reply::Array(role) if role[3].text() == "connected" => Ok(()),
            role => Err(format!("{role:?}")),
        }
    })
    .await;
    replica
}

fn replicated(stay: &Mainstay, replicas: u32) -> Lock {
    let lock = stay.lock("report").ttl(Duration::from_secs(30));
    lock.replicas(replicas).build().unwrap()
}

/// How long the refusal takes, and how long after it another has the lock.
async fn refused(lock: &Lock, witness: &Lock, server: &Server) -> (Duration, Duration) {
    let asked = Instant::now();
    let acquired = timeout(COMMAND_TIMEOUT + SLACK, lock.try_acquire()).await;
    let error = acquired.expect("it is refused in time").unwrap_err();
    let took = asked.elapsed();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let before = server.command(&["HGET", "{lock:report}:f", "fence"]).await;
    let refused = Instant::now();
    let other = timeout(COMMAND_TIMEOUT + SLACK, hold(witness)).await;
    let other = other.expect("it is free");
    assert!(other.fence().get() > before.text().parse().unwrap());
    assert_eq!(other.release().await.unwrap(), Release::Released);
    (took, refused.elapsed())
}

async fn a_lock_that_too_few_replicas_acknowledge_is_refused_in_time_and_free(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let (kept, stopped) = (replica_of(&server).await, replica_of(&server).await);
    let stay = connect(&server.url()).await;
    let witness = connect(&server.url()).await.lock("report").build().unwrap();
    let [one, two, three] = [1, 2, 3].map(|replicas| replicated(&stay, replicas));
    let (rounds, mut slowest, mut freed) = (extent(2, 20), Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        let guard = hold(&two).await;
        for replica in [&kept, &stopped] {
            let owner = replica.command(&["EXISTS", "lock:report"]).await;
            assert_eq!(owner.integer(), 1, "it has acknowledged");
        }
        let rival = witness.try_acquire().await.unwrap();
        assert!(matches!(rival, Acquire::Held { .. }), "{rival:?}");
        assert_eq!(guard.release().await.unwrap(), Release::Released);

        let (took, free) = refused(&three, &witness, &server).await;
        (slowest, freed) = (slowest.max(took), freed.max(free));
        stopped.stop();
        let (took, free) = refused(&two, &witness, &server).await;
        (slowest, freed) = (slowest.max(took), freed.max(free));
        let guard = hold(&one).await;
        assert_eq!(guard.release().await.unwrap(), Release::Released);
        stopped.cont();
    }
    println!(
        "{flavor}: replicas: {rounds} rounds: 2 of 2 and 1 of 1 that runs acquired, 3 of 2 and 2 of 1 refused after {slowest:?} at most, timeout {COMMAND_TIMEOUT:?}, and free {freed:?} later"
    );
}
