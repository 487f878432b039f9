//! When sessions end, by the server's clock alone.

use std::time::Duration;

use mainstay_testkit::fixture::{Flavor, Server, WallClock};
use tokio::time::{Instant, sleep_until};

use super::worker::Worker;
use super::{extent, on_both_flavors};

const IDLE: Duration = Duration::from_secs(2);
const ABSOLUTE: Duration = Duration::from_secs(5);
const DAY: i64 = 24 * 3_600;

on_both_flavors! {
    s4_sessions_end_when_they_should_whatever_the_clocks_of_nodes_say
}

/// A node whose clock is off.
async fn node(url: &str, seconds: i64) -> (WallClock, Worker) {
    let mut clock = WallClock::start();
    clock.step(seconds);
    let worker = Worker::session(Some(&clock), url).await;
    (clock, worker)
}

async fn create(node: &mut Worker, user: &str) -> String {
    let (idle, absolute) = (IDLE.as_millis(), ABSOLUTE.as_millis());
    let created = node.ask(&format!("create {user} {idle} {absolute}")).await;
    created["id"].as_str().unwrap().to_owned()
}

async fn is_valid(node: &mut Worker, id: &str) -> bool {
    node.ask(&format!("load {id}")).await["valid"] == true
}

async fn s4_sessions_end_when_they_should_whatever_the_clocks_of_nodes_say(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let (_ahead, mut ahead) = node(&url, DAY).await;
    let (_behind, mut behind) = node(&url, -DAY).await;
    for round in 0..extent(1, 6) {
        // Before: no session is older than this says.
        let before = Instant::now();
        let active = create(&mut ahead, "ada").await;
        let waits = create(&mut behind, "ada").await;
        let ends = create(&mut ahead, "ada").await;
        let after = Instant::now();

        for tenths in [8, 16] {
            sleep_until(before + Duration::from_millis(tenths * 100)).await;
            assert!(is_valid(&mut behind, &active).await, "ended at {tenths}");
        }
        sleep_until(before + IDLE - Duration::from_millis(50)).await;
        // A busy machine may be late; a session that has lived out its time may be gone.
        let is_alive = is_valid(&mut ahead, &waits).await;
        assert!(
            is_alive || before.elapsed() >= IDLE,
            "ended before its idle time"
        );
        sleep_until(after + IDLE + IDLE / 20 + Duration::from_millis(2)).await;
        assert!(
            !is_valid(&mut behind, &ends).await,
            "outlived its idle time"
        );

        for tenths in [24, 32, 40, 48] {
            sleep_until(before + Duration::from_millis(tenths * 100)).await;
            let node = if tenths % 16 == 0 {
                &mut ahead
            } else {
                &mut behind
            };
            let is_alive = is_valid(node, &active).await;
            assert!(
                is_alive || before.elapsed() >= ABSOLUTE,
                "ended at {tenths}"
            );
        }
        sleep_until(after + ABSOLUTE + Duration::from_millis(2)).await;
        for node in [&mut ahead, &mut behind] {
            assert!(!is_valid(node, &active).await, "outlived its absolute time");
        }
        println!(
            "{flavor}: S4 round {round}: nodes a day ahead and behind; touched alive at 4.8 s and dead at {:?} of 5 s; untouched alive at 1.95 s, dead {:?} after its idle time",
            after.elapsed(),
            IDLE / 20,
        );
    }
}
