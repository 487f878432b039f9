//! A server that is restarted, or flushed, under its workers.

use std::time::Duration;

use mainstay::ErrorKind;
use mainstay::queue::{Pushed, Settled};
use mainstay_testkit::fixture::{Flavor, Persistence, Server, eventually};
use serde_json::json;
use tokio::time::timeout;

use super::super::{BOUND, RECOVERY, SLACK, connect, durable, extent, on_both_flavors};
use super::{NAME, push, queue};

on_both_flavors! {
    workers_go_on_by_themselves_after_the_server_has_lost_everything
    jobs_that_the_server_saves_are_kept_through_restarts
    a_full_server_takes_no_jobs_and_gives_out_those_it_has
}

const LEASE: Duration = Duration::from_millis(900);

async fn workers_go_on_by_themselves_after_the_server_has_lost_everything(flavor: Flavor) {
    let builder = Server::builder(flavor).persistence(Persistence::None);
    let mut server = builder.start().await;
    let queue = queue(&connect(&server.url()).await);
    let mut worker = queue.worker().lease(LEASE).start().unwrap();
    let (rounds, mut fence) = (extent(2, 10), 0);
    for round in 0..2 * rounds {
        push(&queue, &format!("before-{round}"), None, &json!({})).await;
        let before = timeout(BOUND, worker.next()).await.unwrap().unwrap();
        assert!(before.job().fence > fence, "round {round}");
        fence = before.job().fence;
        if round % 2 == 0 {
            server.command(&["FLUSHALL"]).await;
        } else {
            server.kill();
            server.restart().await;
        }
        // It learns so, by the store or by its own clock.
        timeout(LEASE + SLACK, before.lost())
            .await
            .expect("the loss is told");
        let id = format!("after-{round}");
        eventually("a push", RECOVERY, async || {
            match queue.job(&json!({})).id(&id).push().await {
                // The answer to the push before may have been lost.
                Ok(Pushed::Added { .. } | Pushed::Duplicate { .. }) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        assert_eq!(before.ack().await.unwrap(), Settled::Lost);
        let after = timeout(RECOVERY, worker.next())
            .await
            .expect("it goes on")
            .unwrap();
        assert_eq!(
            (after.job().id.as_str(), after.job().attempt),
            (id.as_str(), 1)
        );
        assert!(after.job().fence > fence, "round {round}");
        fence = after.job().fence;
        assert_eq!(after.ack().await.unwrap(), Settled::Settled);
    }
    println!(
        "{flavor}: {} losses of all data: workers went on, fences rose",
        2 * rounds
    );
}

async fn jobs_that_the_server_saves_are_kept_through_restarts(flavor: Flavor) {
    let mut server = durable(flavor).await;
    let stay = connect(&server.url()).await;
    let queue = queue(&stay);
    let mut worker = queue.worker().lease(LEASE).concurrency(1).start().unwrap();
    for round in 0..extent(2, 10) {
        let ids: Vec<_> = (0..3).map(|number| format!("{round}-{number}")).collect();
        for id in &ids {
            push(&queue, id, Some("k"), &json!({})).await;
        }
        for id in &ids {
            let delivery = timeout(BOUND, worker.next()).await.unwrap().unwrap();
            assert_eq!(delivery.job().id, *id);
            server.kill();
            server.restart().await;
            // The connection may be that to the server before, and the worker extends it meanwhile.
            let settled = eventually("an acknowledgement", BOUND, async || {
                delivery.ack().await.map_err(|error| error.to_string())
            })
            .await;
            assert_eq!(settled, Settled::Settled, "{id}, {:?}", delivery.job());
        }
    }
    let key = format!("{{queue:{NAME}}}:jobs");
    assert_eq!(server.command(&["EXISTS", &key]).await.integer(), 0);
}

async fn a_full_server_takes_no_jobs_and_gives_out_those_it_has(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let queue = queue(&connect(&server.url()).await);
    for number in 0..4 {
        push(&queue, &format!("job-{number}"), None, &json!({})).await;
    }
    let mut worker = queue.worker().concurrency(1).lease(LEASE).start().unwrap();
    let slow = timeout(BOUND, worker.next()).await.unwrap().unwrap();
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    assert_eq!(server.command(&full).await.text(), "OK");

    let refused = queue.job(&json!({})).id("more").push().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    // It is extended for as long as it takes, and tried again.
    tokio::time::sleep(LEASE + SLACK).await;
    let settled = slow.retry(Duration::ZERO, "again").await.unwrap();
    assert_eq!(settled, Settled::Settled);
    let mut done = 0;
    while done < 4 {
        let next = timeout(BOUND, worker.next()).await.expect("jobs come");
        assert_eq!(next.unwrap().ack().await.unwrap(), Settled::Settled);
        done += 1;
    }
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.in_flight, stats.dead), (0, 0, 0));
}
