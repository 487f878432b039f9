//! Clocks of servers that are set, and clients whose clocks are off.

use std::time::Duration;

use mainstay::Mainstay;
use mainstay::ratelimit::{Limiter, Policy, Unit};
use mainstay_testkit::fixture::{Flavor, Server, WallClock};
use mainstay_testkit::oracle::{Admission, most_in_any_window};
use tokio::time::{Instant, sleep};

use super::{admissions, connect, extent, on_both_flavors, worker};

const STEP: i64 = 600;
const LIMIT: u64 = 5;
const PERIOD: Duration = Duration::from_secs(1);

on_both_flavors! {
    r6_a_server_clock_set_back_locks_nobody_out_and_admits_no_more
    r6_a_server_clock_set_forward_locks_nobody_out
    r6_a_client_whose_clock_is_off_is_limited_alike
}

fn policies() -> [Policy; 4] {
    [
        Policy::window("window", LIMIT, PERIOD),
        Policy::exact("exact", LIMIT, PERIOD),
        Policy::gcra("gcra", LIMIT, PERIOD, LIMIT),
        Policy::fixed("fixed", LIMIT, Unit::Second, "UTC"),
    ]
    .map(Result::unwrap)
}

/// A server with a clock of its own, and a client of it.
async fn on_a_clock(flavor: Flavor) -> (WallClock, Server, Mainstay) {
    let clock = WallClock::start();
    let server = Server::builder(flavor).wall_clock(&clock).start().await;
    let stay = connect(&server.url()).await;
    (clock, server, stay)
}

/// How long it takes until a call is admitted.
async fn admitted_after(limiter: &Limiter) -> Duration {
    let began = Instant::now();
    while !limiter.check("somebody").await.unwrap().is_allowed() {
        assert!(began.elapsed() < 4 * PERIOD, "locked out: {limiter:?}");
        sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// Takes all there is.
async fn exhaust(limiter: &Limiter) {
    while limiter.check("somebody").await.unwrap().is_allowed() {}
}

async fn r6_a_server_clock_set_back_locks_nobody_out_and_admits_no_more(flavor: Flavor) {
    let (mut clock, _server, stay) = on_a_clock(flavor).await;
    let rounds = extent(1, 20);
    let mut longest = Duration::ZERO;
    for policy in policies() {
        let limiter = stay.limiter(policy.clone());
        for _ in 0..rounds {
            exhaust(&limiter).await;
            clock.step(-STEP);
            // By a clock that is not set, as the windows of a sliding limit are of any place.
            let began = Instant::now();
            let mut history = Vec::new();
            while began.elapsed() < 2 * PERIOD {
                if limiter.check("somebody").await.unwrap().is_allowed() {
                    let at = began.elapsed();
                    history.push(Admission { at, cost: 1 });
                }
                sleep(Duration::from_millis(5)).await;
            }
            let first = history
                .first()
                .expect("somebody is admitted in two periods")
                .at;
            longest = longest.max(first);
            if matches!(policy.name().as_str(), "window" | "exact") {
                let most = most_in_any_window(&history, PERIOD);
                assert!(most <= LIMIT, "{policy}: {most} in one window");
            }
        }
    }
    println!(
        "{flavor}: R6 server clock {rounds} times ten minutes back, 4 algorithms: locked out for {longest:?} at most, period {PERIOD:?}"
    );
    assert!(
        longest <= PERIOD + PERIOD / 30 + Duration::from_millis(100),
        "{longest:?}"
    );
}

async fn r6_a_server_clock_set_forward_locks_nobody_out(flavor: Flavor) {
    let (mut clock, _server, stay) = on_a_clock(flavor).await;
    let rounds = extent(1, 20);
    let mut longest = Duration::ZERO;
    for policy in policies() {
        let limiter = stay.limiter(policy);
        for _ in 0..rounds {
            exhaust(&limiter).await;
            clock.step(STEP);
            longest = longest.max(admitted_after(&limiter).await);
        }
    }
    println!(
        "{flavor}: R6 server clock {rounds} times ten minutes forward, 4 algorithms: admitted after {longest:?} at most"
    );
}

/// Their clocks do not matter, but for the windows of a calendar that they propose.
async fn r6_a_client_whose_clock_is_off_is_limited_alike(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    for algorithm in ["window", "exact", "gcra", "fixed"] {
        let period = if algorithm == "fixed" { "second" } else { "1s" };
        let policy = format!("{algorithm}={LIMIT}/{period}:{algorithm}");
        let mut clocks = [WallClock::start(), WallClock::start()];
        clocks[0].step(STEP);
        clocks[1].step(-STEP);
        let arguments = ["limit", &url, &policy, "somebody", "2"];
        let bound = Duration::from_secs(30);
        let [ahead, behind] = clocks.each_ref().map(Some);
        let (ahead, behind, right) = tokio::join!(
            worker::run_by(ahead, &arguments, bound),
            worker::run_by(behind, &arguments, bound),
            worker::run_by(None, &arguments, bound),
        );
        let each = [&ahead, &behind, &right].map(|it| admissions(it).len());
        let history = admissions(&[ahead, behind, right].concat());
        let most = most_in_any_window(&history, PERIOD);
        println!(
            "{flavor}: R6 {algorithm}: clients ten minutes ahead, behind and right admitted {each:?} times, at most {most} in any {PERIOD:?}"
        );
        let bound = match algorithm {
            "window" | "exact" => LIMIT,
            // Around the end of a window, and of a bucket that was full.
            _ => 2 * LIMIT,
        };
        assert!((LIMIT..=bound).contains(&most), "{algorithm}: {most}");
    }
}
