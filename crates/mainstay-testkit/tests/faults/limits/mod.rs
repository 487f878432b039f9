//! Several processes never get more than the limit together.

mod model;

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Admission, most_in_any_window};

use super::{extent, on_both_flavors, worker};

const PROCESSES: usize = 8;
const LIMIT: u64 = 100;
const PERIOD: Duration = Duration::from_secs(1);
/// What must be admitted for the run to have tested anything.
const LEAST: u64 = 60;

on_both_flavors! {
    eight_processes_stay_within_the_limit_in_every_window
}

async fn eight_processes_stay_within_the_limit_in_every_window(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let seconds = extent(3, 10).to_string();
    let policy = format!("api={LIMIT}/1s");
    let arguments = ["limit", &url, &policy, "somebody", &seconds];
    let decisions = join_all((0..PROCESSES).map(|_| worker::run(&arguments)))
        .await
        .concat();
    let admissions: Vec<_> = decisions
        .iter()
        .filter(|decision| decision["allowed"] == true)
        .map(|decision| Admission {
            at: Duration::from_micros(decision["decided_at"].as_u64().unwrap()),
            cost: 1,
        })
        .collect();
    let most = most_in_any_window(&admissions, PERIOD);
    println!(
        "{flavor}: {PROCESSES} processes, {seconds} s: {} decisions, {} admitted, at most {most} in any {PERIOD:?}",
        decisions.len(),
        admissions.len(),
    );
    assert!((LEAST..=LIMIT).contains(&most), "{most} in one window");
}
