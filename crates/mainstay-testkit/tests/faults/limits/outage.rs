//! Limits while the server does not answer.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::clock::{Clock, Moment, SystemClock};
use mainstay::ratelimit::{Decision, Limiter, Policy, RetryAfter, Source, WhenDown};
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Admission, most_in_any_window};
use tokio::time::sleep;

use super::{connect, extent, on_both_flavors};
use crate::SLACK;

const LIMIT: u64 = 100;
const PERIOD: Duration = Duration::from_secs(1);
const NODES: u32 = 2;
const TASKS: usize = 4;
/// What a call waits for a server that it can do without.
const PATIENCE: Duration = Duration::from_millis(250);

on_both_flavors! {
    r9_a_suspended_server_costs_bounded_waits_and_the_shares_of_all_stay_within_the_limit
    r9_without_a_server_all_is_allowed_or_denied_as_one_likes
}

/// One decision, as its caller saw it.
struct Seen {
    began: Duration,
    took: Duration,
    decision: Decision,
}

async fn limiter(server: &Server, when_down: WhenDown) -> Limiter {
    let stay = connect(&server.url()).await;
    let policy = Policy::window("api", LIMIT, PERIOD).unwrap();
    stay.limiter(policy).when_down(when_down).unwrap()
}

/// Asks again and again until then.
async fn hammer(limiter: Limiter, end: Moment) -> Vec<Seen> {
    let clock = SystemClock;
    let mut seen = Vec::new();
    while clock.now() < end {
        let began = clock.now();
        let decision = limiter.check("somebody").await.unwrap();
        let took = clock.now().since(began);
        seen.push(Seen {
            began: began.since(Moment::default()),
            took,
            decision,
        });
        sleep(Duration::from_millis(2)).await;
    }
    seen
}

async fn r9_a_suspended_server_costs_bounded_waits_and_the_shares_of_all_stay_within_the_limit(
    flavor: Flavor,
) {
    let server = Server::start(flavor).await;
    let away: u64 = extent(2, 5);
    let local = WhenDown::Local(NODES.try_into().unwrap());
    let end = SystemClock.now().after(Duration::from_secs(away + 8));
    let mut tasks = Vec::new();
    for _ in 0..NODES {
        let limiter = limiter(&server, local).await;
        for _ in 0..TASKS {
            tasks.push(tokio::spawn(hammer(limiter.clone(), end)));
        }
    }
    sleep(Duration::from_secs(1)).await;
    server.stop();
    sleep(Duration::from_secs(away)).await;
    server.cont();
    let seen = join_all(tasks).await.into_iter().flat_map(Result::unwrap);
    let mut seen: Vec<_> = seen.collect();
    seen.sort_by_key(|it| it.began);

    let slowest = seen.iter().map(|it| it.took).max().unwrap();
    let fallback: Vec<_> = seen
        .iter()
        .filter(|it| it.decision.source() == Source::Fallback)
        .collect();
    let admitted: Vec<_> = fallback
        .iter()
        .filter(|it| it.decision.is_allowed())
        .map(|it| Admission {
            at: it.decision.decided_at(),
            cost: 1,
        })
        .collect();
    let most = most_in_any_window(&admitted, PERIOD);
    println!(
        "{flavor}: R9 server suspended for {away} s: {} decisions, {} without it, the slowest took {slowest:?}; {NODES} nodes admitted {} without it, at most {most} of {LIMIT} in any {PERIOD:?}",
        seen.len(),
        fallback.len(),
        admitted.len(),
    );
    assert!(slowest <= PATIENCE + SLACK, "{slowest:?}");
    assert!((LIMIT / 2..=LIMIT).contains(&most), "{most} in one window");
    let last = seen.last().unwrap();
    assert_eq!(last.decision.source(), Source::Store, "it is asked again");
}

async fn r9_without_a_server_all_is_allowed_or_denied_as_one_likes(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let open = limiter(&server, WhenDown::Open).await;
    let closed = limiter(&server, WhenDown::Closed).await;
    let fails = limiter(&server, WhenDown::Fail).await;
    assert!(
        open.check_cost("somebody", LIMIT)
            .await
            .unwrap()
            .is_allowed()
    );
    server.stop();
    for _ in 0..5 {
        let decision = open.check("somebody").await.unwrap();
        assert_eq!(
            (decision.is_allowed(), decision.source()),
            (true, Source::Fallback)
        );
        // Nothing was charged in the store: nothing is given back there.
        assert!(!open.refund("somebody", &decision).await.unwrap());
        let decision = closed.check("other").await.unwrap();
        assert_eq!(
            (decision.is_allowed(), decision.source()),
            (false, Source::Fallback)
        );
        let Some(RetryAfter::After(wait)) = decision.retry_after() else {
            panic!("{decision:?}");
        };
        assert!(wait <= Duration::from_secs(5), "{wait:?}");
    }
    fails.check("somebody").await.unwrap_err();
    server.cont();
}
