//! Many callers of several processes for one key that is not there.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};

use super::super::{extent, on_both_flavors, worker::Worker};
use super::info_number;

const PROCESSES: u64 = 4;
const CALLERS: u64 = 250;
const LOAD_MS: u64 = 300;
const COMMANDS: u64 = 4_000;
/// Checked where nothing else runs: in the full form.
const P99: Duration = Duration::from_millis(400);

on_both_flavors! {
    t1_one_load_serves_all_callers_of_all_processes
}

async fn t1_one_load_serves_all_callers_of_all_processes(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let mut workers = join_all((0..PROCESSES).map(|_| Worker::cache(&url))).await;
    let rounds = extent(1, 3);
    for round in 0..rounds {
        for (how, value) in [("cold", "a"), ("expired", "b"), ("invalidated", "c")] {
            match how {
                "expired" => {
                    // As an expiry does, without the wait.
                    assert_eq!(
                        server
                            .command(&["PEXPIRE", "cache:work:hot", "1"])
                            .await
                            .integer(),
                        1
                    );
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                "invalidated" => {
                    workers[0].ask("remove hot").await;
                }
                _ => {}
            }
            let value = format!("hot|{value}{round}");
            let work = format!("stampede hot {CALLERS} {LOAD_MS} {value}");
            let before = info_number(&server, "stats", "total_commands_processed").await;
            for worker in &mut workers {
                worker.begin(&work).await;
            }
            let answers = join_all(workers.iter_mut().map(Worker::answer)).await;
            let after = info_number(&server, "stats", "total_commands_processed").await;
            let sum =
                |field: &str| -> u64 { answers.iter().filter_map(|a| a[field].as_u64()).sum() };
            let worst = answers.iter().filter_map(|a| a["p99_us"].as_u64()).max();
            let p99 = Duration::from_micros(worst.expect("there were calls"));
            let commands = after - before;
            println!(
                "{flavor}: T1 {how}: {} loads, {} of {} served, p99 {p99:?}, {commands} commands",
                sum("loads"),
                sum("served"),
                PROCESSES * CALLERS
            );
            assert_eq!(sum("loads"), 1, "{answers:?}");
            assert_eq!(sum("served"), PROCESSES * CALLERS, "{answers:?}");
            assert!(commands < COMMANDS);
            if extent(false, true) {
                assert!(p99 < P99, "{p99:?}");
            }
        }
        assert_eq!(
            server.command(&["DEL", "cache:work:hot"]).await.integer(),
            1
        );
    }
}
