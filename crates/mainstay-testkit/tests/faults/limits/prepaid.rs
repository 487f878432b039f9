//! Processes that pay ahead stay within the limit together, also when one of them dies.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Admission, most_in_any_window};
use serde_json::Value;
use tokio::time::sleep;

use super::{extent, on_both_flavors};
use crate::worker::Worker;

const PROCESSES: usize = 4;
const LIMIT: u64 = 10_000;
const PERIOD: Duration = Duration::from_secs(1);
/// A worker tells what it was admitted in so long with one time.
const LINE: Duration = Duration::from_millis(1);

on_both_flavors! {
    r5_processes_that_pay_ahead_stay_within_the_limit_though_one_is_killed
}

fn admissions(lines: &[Value]) -> Vec<Admission> {
    let told = lines.iter().filter(|line| line["at"].is_u64());
    told.map(|line| Admission {
        at: Duration::from_micros(line["at"].as_u64().unwrap()),
        cost: line["admitted"].as_u64().unwrap(),
    })
    .collect()
}

async fn r5_processes_that_pay_ahead_stay_within_the_limit_though_one_is_killed(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let seconds: u32 = extent(4, 20);
    let policy = format!("ingest={LIMIT}/1s");
    let (length, nodes) = (seconds.to_string(), PROCESSES.to_string());
    let arguments = ["prepaid", &url, &policy, "plant-7", &length, &nodes];
    let mut workers: Vec<_> = (0..PROCESSES).map(|_| Worker::start(&arguments)).collect();
    let mut portion = 0;
    for worker in &mut workers {
        portion = worker.answer().await["portion"].as_u64().unwrap();
    }
    // What it held is nobody's until it counts no more.
    let mut victim = workers.pop().unwrap();
    let half = Duration::from_secs(u64::from(seconds)) / 2;
    let dying = async {
        let mut lines = Vec::new();
        tokio::select! {
            () = sleep(half) => {}
            () = victim.read_on(&mut lines) => panic!("it runs on"),
        }
        victim.kill().await;
        lines
    };
    let others = join_all(workers.into_iter().map(|mut worker| async move {
        let mut lines = Vec::new();
        worker.read_on(&mut lines).await;
        lines
    }));
    let (died, others) = tokio::join!(dying, others);
    let asked = |lines: &Vec<Value>| -> u64 {
        lines.iter().filter_map(|line| line["asked"].as_u64()).sum()
    };
    let asked: u64 = others.iter().map(asked).sum::<u64>() + asked(&died);
    let mut history = admissions(&others.concat());
    history.extend(admissions(&died));
    history.sort_unstable();
    let most = most_in_any_window(&history, PERIOD.saturating_sub(LINE));

    let (first, last) = (history.first().unwrap().at, history.last().unwrap().at);
    let total: u64 = history.iter().map(|it| it.cost).sum();
    println!(
        "{flavor}: R5 {PROCESSES} processes, portions of {portion}, {:?}: asked {asked} times, admitted {total}, at most {most} of {LIMIT} in any {PERIOD:?}, one killed after {half:?}",
        last.saturating_sub(first),
    );
    assert!(most <= LIMIT, "{most} in one window");
    // A limit's worth comes each period, which is longer by a lease of 50 ms and by a sixtieth; once the
    // dead's units are missing.
    let periods = last.saturating_sub(first).as_millis() * 100 / 108 / PERIOD.as_millis();
    let expected = LIMIT * u64::try_from(periods).unwrap() - portion;
    assert!(
        total >= expected,
        "{total} admitted, at least {expected} are expected"
    );
}
