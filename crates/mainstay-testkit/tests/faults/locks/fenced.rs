//! Holders that stop, or die: what they hold ends, and what they write late is refused.

use std::num::NonZeroU32;
use std::time::Duration;

use mainstay::lock::{Acquire, FencedWrite};
use mainstay_testkit::fixture::{Flavor, Server};
use rustix::process::Signal;
use tokio::time::Instant;

use super::super::worker::Worker;
use super::super::{BOUND, connect, extent, on_both_flavors};
use super::queue::hold;

on_both_flavors! {
    l1_a_holder_that_was_suspended_knows_of_its_loss_and_its_writes_are_refused
    units_of_killed_holders_are_free_again_within_their_ttl
}

async fn l1_a_holder_that_was_suspended_knows_of_its_loss_and_its_writes_are_refused(
    flavor: Flavor,
) {
    const TTL: Duration = Duration::from_millis(300);
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let lock = stay.lock("ledger").ttl(TTL).build().unwrap();
    let value = stay.fenced_value("ledger").build().unwrap();
    let mut holder = Worker::holder(&server.url(), "ledger", TTL);
    let rounds = extent(8, 100);
    let mut fence = 0;
    for round in 0..rounds {
        let taken = holder.ask("take").await["fence"].as_u64().unwrap();
        assert!(taken > fence, "round {round}");
        let written = holder.ask("write").await;
        assert_eq!(written["lost"], false, "round {round}: {written}");
        assert_eq!(written["written"], true, "round {round}: {written}");
        holder.signal(Signal::STOP);
        let guard = hold(&lock).await;
        fence = guard.fence().get();
        assert!(fence > taken, "round {round}");
        let ours = format!("round {round}");
        let written = value.set(guard.fence(), ours.clone()).await.unwrap();
        assert_eq!(written, FencedWrite::Written);
        holder.signal(Signal::CONT);
        let written = holder.ask("write").await;
        assert_eq!(written["lost"], true, "round {round}: {written}");
        assert_eq!(written["written"], false, "round {round}: {written}");
        assert_eq!(value.get().await.unwrap().unwrap().value, ours);
        guard.release().await.unwrap();
    }
    println!("{flavor}: L1 {rounds} suspended holders: all knew of their loss, all writes refused");
}

async fn units_of_killed_holders_are_free_again_within_their_ttl(flavor: Flavor) {
    const UNITS: NonZeroU32 = NonZeroU32::new(3).unwrap();
    /// That of the workers' leases.
    const TTL: Duration = Duration::from_secs(5);
    let server = Server::start(flavor).await;
    let url = server.url();
    let semaphore = connect(&url).await.semaphore("slots", UNITS).build();
    let semaphore = semaphore.unwrap();
    let mut holders = Vec::new();
    for _ in 0..UNITS.get() {
        holders.push(Worker::share(&url, "slots", UNITS.get()).await);
    }
    let full = semaphore.try_acquire().await.unwrap();
    assert!(matches!(full, Acquire::Held { .. }), "{full:?}");
    for holder in holders {
        holder.kill().await;
    }
    let killed = Instant::now();
    let all = semaphore.acquire_many(UNITS, BOUND).await.unwrap();
    let took = killed.elapsed();
    assert!(matches!(all, Acquire::Acquired(_)), "{all:?}");
    println!("{flavor}: all units of killed holders were free after {took:?}, ttl {TTL:?}");
    // And the time that processes take to be scheduled.
    assert!(took < TTL + Duration::from_millis(300), "{took:?}");
}
