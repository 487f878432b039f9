//! Jobs that abort their worker, take too long, or are no jobs at all.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mainstay::codec::Raw;
use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::worker::Worker;
use super::super::{BOUND, connect, extent, on_both_flavors};
use super::{NAME, all_ended, push, queue};

on_both_flavors! {
    t7_poison_is_dead_after_its_attempts_and_keeps_nobody_from_work
}

const LEASE_MS: &str = "500";
const WORKERS: usize = 3;

/// Starts workers again as they die, until all jobs have ended; what they said.
async fn work(url: &str, name: &str, ended: impl Future<Output = ()>) -> (Vec<Value>, usize) {
    let mut ended = std::pin::pin!(ended);
    let (mut lines, mut deaths) = (Vec::new(), 0);
    let start = || {
        let mut worker = Worker::start(&["serve", url, name, LEASE_MS]);
        Box::pin(async move {
            let mut lines = Vec::new();
            worker.read_on(&mut lines).await;
            lines
        })
    };
    let mut running: futures_util::stream::FuturesUnordered<_> =
        (0..WORKERS).map(|_| tokio::spawn(start())).collect();
    loop {
        use futures_util::StreamExt;
        tokio::select! {
            () = &mut ended => break,
            Some(life) = running.next() => {
                lines.extend(life.unwrap());
                deaths += 1;
                running.push(tokio::spawn(start()));
            }
        }
    }
    for worker in &running {
        worker.abort();
    }
    (lines, deaths)
}

async fn t7_poison_is_dead_after_its_attempts_and_keeps_nobody_from_work(flavor: Flavor) {
    let good = extent(200, 5_000);
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let queue = queue(&stay);
    let raw = stay.queue::<Bytes>(NAME).codec(Raw).build().unwrap();
    // Without poison, for comparison; of a queue that nobody works on later.
    let clean = stay.queue::<Value>("clean").build().unwrap();
    for number in 0..good {
        push(
            &clean,
            &format!("clean-{number}"),
            None,
            &json!({"sleep": 2}),
        )
        .await;
    }
    let began = Instant::now();
    let (_, deaths) = work(&server.url(), "clean", async {
        all_ended(&clean, BOUND).await;
    })
    .await;
    let alone = began.elapsed();
    assert_eq!(deaths, 0);

    push(&queue, "abort", None, &json!({"abort": true})).await;
    push(&queue, "hang", None, &json!({"hang": true})).await;
    let invalid = Bytes::from_static(b"\xff\xfe{");
    drop(raw.job(&invalid).id("invalid").push().await.unwrap());
    for number in 0..good {
        push(
            &queue,
            &format!("good-{number}"),
            None,
            &json!({"sleep": 2}),
        )
        .await;
    }
    let began = Instant::now();
    let mut all_good = None;
    let ended = async {
        loop {
            let stats = queue.stats().await.unwrap();
            if all_good.is_none() && stats.ready == 0 {
                all_good = Some(began.elapsed());
            }
            if (stats.ready, stats.delayed, stats.in_flight) == (0, 0, 0) {
                return;
            }
            assert!(began.elapsed() < 4 * BOUND, "{stats:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (lines, deaths) = work(&server.url(), NAME, ended).await;
    let mut attempts = BTreeMap::<_, Vec<_>>::new();
    for line in lines.iter().filter(|line| line["begin"].is_string()) {
        let id = line["begin"].as_str().unwrap().to_owned();
        attempts
            .entry(id)
            .or_default()
            .push(line["attempt"].as_u64().unwrap());
    }
    // A process for each attempt, and what those had said is all there.
    assert_eq!((deaths, attempts.get("abort")), (3, Some(&vec![1, 2, 3])));
    let letters = queue.dead(0, 10).await.unwrap();
    let letters: BTreeMap<_, _> = letters
        .iter()
        .map(|letter| {
            (
                letter.id.as_str(),
                (letter.attempts, letter.reason.as_str()),
            )
        })
        .collect();
    assert_eq!(letters.len(), 3, "{letters:?}");
    assert_eq!(letters["abort"].0, 3);
    assert!(
        letters["abort"].1.starts_with("the lease ended"),
        "{letters:?}"
    );
    assert_eq!(letters["hang"], (3, "not done within Some(300ms)"));
    assert_eq!(letters["invalid"].0, 1);
    assert!(
        letters["invalid"].1.starts_with("undecodable"),
        "{letters:?}"
    );
    let all_good = all_good.expect("they were taken");
    println!(
        "{flavor}: T7 {good} good jobs in {alone:?} alone, in {all_good:?} beside three kinds of poison; each poison dead once"
    );
    // What is dead can be tried again, and dies again: once.
    assert_eq!(queue.replay(&["invalid"]).await.unwrap(), 1);
    assert_eq!(queue.stats().await.unwrap().dead, 2);
}
