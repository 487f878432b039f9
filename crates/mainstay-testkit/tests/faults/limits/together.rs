//! Several policies of a call are charged together or not at all.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Admission, most_in_any_window};
use serde_json::Value;

use super::{admissions, extent, on_both_flavors, worker};

const PROCESSES: usize = 8;
const PERIOD: Duration = Duration::from_secs(1);
/// Of an address, a user, and all: two processes share a user, four an address.
const LIMITS: [u64; 3] = [10, 5, 8];

on_both_flavors! {
    r4_no_policy_is_charged_for_what_another_has_denied
}

async fn r4_no_policy_is_charged_for_what_another_has_denied(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let seconds = extent(3, 20);
    let [ip, user, all] = LIMITS;
    let policies = format!("ip={ip}/1s:exact;user={user}/1s:exact;all={all}/1s:exact");
    let subjects: Vec<_> = (0..PROCESSES)
        .map(|process| {
            [
                format!("ip{}", process / 4),
                format!("user{}", process / 2),
                "all".into(),
            ]
        })
        .collect();
    let seconds_text = seconds.to_string();
    let runs = subjects.iter().map(|subjects| async {
        let subjects = subjects.join(";");
        worker::run(&["limit", &url, &policies, &subjects, &seconds_text]).await
    });
    let decisions = join_all(runs).await;

    // What each policy has counted is what it has admitted, whatever others have denied.
    let mut charged = 0;
    let mut most = Vec::new();
    for (index, name) in ["ip", "user", "all"].into_iter().enumerate() {
        let limit = LIMITS[index];
        let mut names: Vec<_> = subjects.iter().map(|subjects| &subjects[index]).collect();
        names.dedup();
        for who in names {
            let its = subjects.iter().zip(&decisions);
            let its = its.filter(|(subjects, _)| subjects[index] == *who);
            let history: Vec<_> = its
                .clone()
                .flat_map(|(_, decisions)| admissions(decisions))
                .collect();
            for (_, decisions) in its {
                let (seen_at, left) = last_look(decisions, index);
                let counts = |it: &&Admission| it.at <= seen_at && it.at + PERIOD > seen_at;
                let counting = history.iter().filter(counts).count() as u64;
                assert_eq!(limit - left, counting, "{name} of {who}");
                charged += counting;
            }
            let highest = most_in_any_window(&history, PERIOD);
            assert!(highest <= limit, "{name} of {who}: {highest} in one window");
            most.push(highest);
        }
    }
    let admitted: usize = decisions.iter().map(|it| admissions(it).len()).sum();
    println!(
        "{flavor}: R4 {PROCESSES} processes, {seconds} s: {admitted} admitted, most in any {PERIOD:?} {most:?} of 10, 5 and 8; {charged} charged when it was looked, as many as admitted"
    );
    // All that `all` lets through is had: nobody is starved by what another policy has denied.
    assert!(
        admitted as u64 >= all * (seconds - 1),
        "{admitted} admitted"
    );
    assert!(charged > 0, "nothing counted when it was looked");
}

/// When a worker has looked, and what was left of its policy then.
fn last_look(decisions: &[Value], index: usize) -> (Duration, u64) {
    let look = decisions.last().unwrap();
    let seen_at = Duration::from_micros(look["seen_at"].as_u64().unwrap());
    (seen_at, look["left"][index].as_u64().unwrap())
}
