//! A worker that is suspended beyond its lease, and wakes up.

use std::time::Duration;

use mainstay_testkit::fixture::{Flavor, Server};
use rustix::process::Signal;
use serde_json::json;

use super::super::worker::Worker;
use super::super::{BOUND, connect, extent, on_both_flavors};
use super::{NAME, all_ended, micros, push, queue, since_boot};

on_both_flavors! {
    t10_what_a_suspended_worker_says_late_is_refused_and_keys_keep_their_order
}

const LEASE: Duration = Duration::from_millis(600);

async fn t10_what_a_suspended_worker_says_late_is_refused_and_keys_keep_their_order(
    flavor: Flavor,
) {
    let (rounds, mut slowest) = (extent(2, 15), Duration::ZERO);
    let server = Server::start(flavor).await;
    let (url, lease) = (server.url(), LEASE.as_millis().to_string());
    let queue = queue(&connect(&url).await);
    for round in 0..rounds {
        let mut first = Worker::start(&["deliver", &url, NAME, &lease, "4"]);
        // Begun by the first worker, and not done before it is suspended.
        let ids: Vec<_> = (0..6).map(|number| format!("{round}-{number}")).collect();
        push(&queue, &ids[0], Some("k"), &json!({"sleep": 200})).await;
        let begun = first.answer().await;
        assert_eq!(begun["begin"], json!(ids[0]));
        first.signal(Signal::STOP);
        let stopped = since_boot();
        for id in &ids[1..] {
            push(&queue, id, Some("k"), &json!({"sleep": 5})).await;
        }
        let mut second = Worker::start(&["deliver", &url, NAME, &lease, "4"]);
        let again = second.answer().await;
        assert_eq!(
            (&again["begin"], again["attempt"].as_u64()),
            (&json!(ids[0]), Some(2))
        );
        assert!(again["fence"].as_u64() > begun["fence"].as_u64());
        slowest = slowest.max(micros(&again).saturating_sub(stopped));
        // It wakes up while the other works on the job.
        first.signal(Signal::CONT);
        // It may take another job before it has told.
        let mut lines = vec![again];
        let late = loop {
            let line = first.answer().await;
            if line["fence"] == begun["fence"] {
                break line;
            }
            lines.push(line);
        };
        let told = (&late["end"], &late["settled"]);
        assert_eq!(told, (&json!(ids[0]), &json!("Ok(Lost)")), "{late}");
        all_ended(&queue, BOUND).await;
        // Whoever got them: one after the other, in their order.
        lines.extend(second.close().await);
        lines.extend(first.close().await);
        lines.sort_by_key(micros);
        let order: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line["begin"].is_string(),
                    line["begin"]
                        .as_str()
                        .or(line["end"].as_str())
                        .unwrap()
                        .to_owned(),
                )
            })
            .collect();
        let wanted: Vec<_> = ids
            .iter()
            .flat_map(|id| [(true, id.clone()), (false, id.clone())])
            .collect();
        assert_eq!(order, wanted, "round {round}");
    }
    println!(
        "{flavor}: T10 {rounds} workers suspended: each late word refused, order kept, redelivered {slowest:?} after the suspension at most, lease {LEASE:?}"
    );
    assert!(slowest <= LEASE + Duration::from_secs(2), "{slowest:?}");
}
