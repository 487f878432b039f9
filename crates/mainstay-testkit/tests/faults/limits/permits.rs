//! Permits while the server does not answer.

use std::time::Duration;

use mainstay::clock::{Clock, SystemClock};
use mainstay::ratelimit::{Entry, Permit, Policy};
use mainstay_testkit::fixture::{Flavor, Server};
use tokio::time::{sleep, timeout};

use super::{connect, on_both_flavors};
use crate::SLACK;

const LEASE: Duration = Duration::from_millis(600);

on_both_flavors! {
    a_permit_that_cannot_be_renewed_is_lost_when_its_lease_ends_and_not_before
}

fn permit(entry: Entry) -> Permit {
    match entry {
        Entry::Entered(permit) => permit,
        Entry::Denied(denied) => panic!("nobody else is in: {denied:?}"),
    }
}

async fn a_permit_that_cannot_be_renewed_is_lost_when_its_lease_ends_and_not_before(
    flavor: Flavor,
) {
    let server = Server::start(flavor).await;
    let limiter = async || {
        let stay = connect(&server.url()).await;
        stay.limiter(Policy::concurrent("export", 1, LEASE).unwrap())
    };
    let (ours, theirs) = (limiter().await, limiter().await);
    let kept = permit(ours.call("somebody").enter().await.unwrap());
    sleep(2 * LEASE).await;
    assert!(!kept.is_lost(), "it is renewed");

    let clock = SystemClock;
    server.stop();
    let stopped = clock.now();
    timeout(LEASE + SLACK, kept.lost()).await.unwrap();
    let known_after = clock.now().since(stopped);
    // It was renewed at most a third of its lease before, and a little.
    assert!(known_after >= LEASE / 3, "{known_after:?}");
    assert!(kept.is_lost());
    sleep(LEASE).await;
    server.cont();

    let next = permit(theirs.call("somebody").enter().await.unwrap());
    sleep(LEASE).await;
    assert!(kept.is_lost() && !next.is_lost());
    drop(kept);
    sleep(LEASE).await;
    assert!(
        !next.is_lost(),
        "what is lost is not given back for another"
    );
    println!("{flavor}: a lost permit was known after {known_after:?} of a lease of {LEASE:?}");
}
