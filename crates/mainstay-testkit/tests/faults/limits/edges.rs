//! Bursts at one instant, and the smallest and the largest numbers.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::ErrorKind;
use mainstay::ratelimit::{Limiter, Policy, RetryAfter, Unit};
use mainstay_testkit::fixture::{Flavor, Server};

use super::{connect, on_both_flavors};

const LARGEST: u64 = 1 << 53;
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

on_both_flavors! {
    r7_a_burst_at_one_instant_gets_the_limit_and_no_more
    r7_the_largest_numbers_are_counted_exactly
    r7_a_cost_of_nothing_fits_and_one_above_the_limit_never_does
}

fn policies(limit: u64) -> [Policy; 4] {
    [
        Policy::window("window", limit, YEAR),
        Policy::exact("exact", limit, YEAR),
        Policy::gcra("gcra", limit, YEAR, limit),
        Policy::fixed("fixed", limit, Unit::Year, "UTC"),
    ]
    .map(Result::unwrap)
}

async fn limiters(flavor: Flavor, limit: u64) -> (Server, Vec<Limiter>) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let limiters = policies(limit).map(|policy| stay.limiter(policy));
    (server, limiters.to_vec())
}

async fn r7_a_burst_at_one_instant_gets_the_limit_and_no_more(flavor: Flavor) {
    let (_server, limiters) = limiters(flavor, 100).await;
    for limiter in limiters {
        let calls = join_all((0..1_000).map(|_| limiter.check("somebody"))).await;
        let allowed = calls.iter().filter(|it| it.as_ref().unwrap().is_allowed());
        let instants: std::collections::BTreeSet<_> = calls
            .iter()
            .map(|it| it.as_ref().unwrap().decided_at().as_millis())
            .collect();
        println!(
            "{flavor}: R7 {}: 1000 calls in {} ms",
            limiter.policies()[0],
            instants.len()
        );
        assert_eq!(allowed.count(), 100, "{limiter:?}");
        assert!(instants.len() < 500, "not at one instant");
    }
}

async fn r7_the_largest_numbers_are_counted_exactly(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    for policy in [
        Policy::window("window", LARGEST, YEAR).unwrap(),
        Policy::fixed("fixed", LARGEST, Unit::Year, "UTC").unwrap(),
    ] {
        let limiter = stay.limiter(policy);
        let one = limiter.check("somebody").await.unwrap();
        assert_eq!(one.remaining(), LARGEST - 1);
        assert!(
            !limiter
                .check_cost("somebody", LARGEST)
                .await
                .unwrap()
                .is_allowed()
        );
        let rest = limiter.check_cost("somebody", LARGEST - 1).await.unwrap();
        assert_eq!((rest.is_allowed(), rest.remaining()), (true, 0));
        let denied = limiter.check("somebody").await.unwrap();
        let Some(RetryAfter::After(wait)) = denied.retry_after() else {
            panic!("{denied:?}");
        };
        assert!(
            wait > Duration::ZERO && wait <= YEAR + YEAR / 60,
            "{wait:?}"
        );
        assert!(
            limiter
                .call("somebody")
                .cost(LARGEST - 3)
                .refund(&rest)
                .await
                .unwrap()
        );
        assert_eq!(
            limiter.peek("somebody").await.unwrap().remaining(),
            LARGEST - 3
        );
        let beyond = limiter
            .check_cost("somebody", LARGEST + 1)
            .await
            .unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::Invalid);
    }
    assert!(Policy::window("window", LARGEST + 1, YEAR).is_err());
    // A bucket that takes a year for a unit.
    let slow = stay.limiter(Policy::gcra("slow", 1, YEAR, 100).unwrap());
    assert!(slow.check_cost("somebody", 100).await.unwrap().is_allowed());
    let denied = slow.check("somebody").await.unwrap();
    let Some(RetryAfter::After(wait)) = denied.retry_after() else {
        panic!("{denied:?}");
    };
    // The first of a hundred years is back when 99 are missing.
    assert_eq!(wait + 99 * YEAR, denied.reset_after());
    assert!(wait > YEAR / 2, "{wait:?}");
}

async fn r7_a_cost_of_nothing_fits_and_one_above_the_limit_never_does(flavor: Flavor) {
    let (server, limiters) = limiters(flavor, 3).await;
    for limiter in &limiters {
        let nothing = limiter.check_cost("somebody", 0).await.unwrap();
        assert_eq!((nothing.is_allowed(), nothing.remaining()), (true, 3));
        let never = limiter.check_cost("somebody", 4).await.unwrap();
        assert_eq!(never.retry_after(), Some(RetryAfter::Never));
    }
    // Neither has left anything behind.
    assert_eq!(server.command(&["DBSIZE"]).await.integer(), 0);
    for limiter in &limiters {
        assert!(
            limiter
                .check_cost("somebody", 3)
                .await
                .unwrap()
                .is_allowed()
        );
        assert!(
            limiter
                .check_cost("somebody", 0)
                .await
                .unwrap()
                .is_allowed()
        );
    }
}
