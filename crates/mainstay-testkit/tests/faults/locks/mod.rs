//! Several processes never hold one lock at once.

mod fenced;
mod holders;
mod promotion;
mod queue;
mod redlock;
mod replicas;
mod replies;
mod restart;

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::{Held, check_locks};
use serde_json::Value;

use super::{extent, on_both_flavors, worker};

const PROCESSES: usize = 6;

on_both_flavors! {
    l2_processes_hold_a_lock_one_after_the_other
}

async fn l2_processes_hold_a_lock_one_after_the_other(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let sections = extent(50, 1_000).to_string();
    let arguments = ["lock", &url, "report", &sections];
    let lines = join_all((0..PROCESSES).map(|_| worker::run(&arguments))).await;
    let number = |line: &Value, field: &str| line[field].as_u64().unwrap();
    let history: Vec<_> = lines
        .iter()
        .flat_map(|lines| lines.chunks(2))
        .map(|pair| Held {
            from: Duration::from_micros(number(&pair[0], "acquired")),
            until: Duration::from_micros(number(&pair[1], "released")),
            fence: number(&pair[0], "fence"),
        })
        .collect();
    assert_eq!(
        history.len(),
        PROCESSES * sections.parse::<usize>().unwrap()
    );
    assert_eq!(check_locks(&history), Ok(()));
    println!(
        "{flavor}: L2 {} critical sections of {PROCESSES} processes",
        history.len()
    );
}
