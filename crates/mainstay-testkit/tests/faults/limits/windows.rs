//! Eight processes never get more than the limit together, and no less than they may.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Admission, most_in_any_window};

use super::{admissions, extent, on_both_flavors, worker};

const PROCESSES: usize = 8;
const LIMIT: u64 = 100;
const PERIOD: Duration = Duration::from_secs(1);
/// What must be admitted for the run to have tested anything.
const LEAST: u64 = 60;

on_both_flavors! {
    r1_eight_processes_stay_within_a_window_in_every_interval
    r1_eight_processes_stay_within_a_log_in_every_interval
    r3_whoever_hammers_gets_all_but_a_sixtieth_of_the_limit_in_each_window
}

/// All processes ask for one subject as fast as they can; what they got, and how often they asked.
async fn hammered(flavor: Flavor, policy: &str, seconds: u64) -> (Vec<Admission>, usize) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let seconds = seconds.to_string();
    let arguments = ["limit", &url, policy, "somebody", &seconds];
    let bound = Duration::from_secs(120);
    let runs = (0..PROCESSES).map(|_| worker::run_by(None, &arguments, bound));
    let decisions = join_all(runs).await.concat();
    let asked = decisions.iter().filter(|it| it["allowed"].is_boolean());
    (admissions(&decisions), asked.count())
}

async fn within_every_interval(flavor: Flavor, algorithm: &str) {
    let seconds = extent(3, 30);
    let policy = format!("api={LIMIT}/1s:{algorithm}");
    let (admitted, asked) = hammered(flavor, &policy, seconds).await;
    let most = most_in_any_window(&admitted, PERIOD);
    println!(
        "{flavor}: R1 {algorithm}: {PROCESSES} processes, {seconds} s: asked {asked} times, admitted {} times, at most {most} of {LIMIT} in any {PERIOD:?}",
        admitted.len(),
    );
    assert!((LEAST..=LIMIT).contains(&most), "{most} in one window");
}

async fn r1_eight_processes_stay_within_a_window_in_every_interval(flavor: Flavor) {
    within_every_interval(flavor, "window").await;
}

async fn r1_eight_processes_stay_within_a_log_in_every_interval(flavor: Flavor) {
    within_every_interval(flavor, "exact").await;
}

/// Units come back a sixtieth of the period late at most, so ten windows in a row each get the limit,
/// less a sixtieth.
async fn r3_whoever_hammers_gets_all_but_a_sixtieth_of_the_limit_in_each_window(flavor: Flavor) {
    let windows = extent(4, 10);
    let (mut admitted, asked) = hammered(flavor, "api=100/1s", u64::from(windows) + 1).await;
    admitted.sort_unstable();
    let first = admitted.first().expect("something was admitted").at;
    let counts: Vec<u64> = (0..windows)
        .map(|window| {
            let from = first + window * PERIOD;
            let within = admitted
                .iter()
                .filter(|it| it.at >= from && it.at < from + PERIOD);
            within.map(|it| it.cost).sum()
        })
        .collect();
    println!(
        "{flavor}: R3 asked {asked} times in {windows} windows, admitted of {LIMIT}: {counts:?}"
    );
    assert!(
        asked as u64 > 10 * LIMIT * u64::from(windows),
        "not hammered"
    );
    for count in counts {
        assert!(
            count <= LIMIT && 60 * count >= 59 * LIMIT,
            "{count} in a window"
        );
    }
}
