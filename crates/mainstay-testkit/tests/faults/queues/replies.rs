//! Replies that are lost after the server has done what it was asked: nothing is done twice.

use std::time::Duration;

use mainstay::queue::{Outcome, Pushed, Settled};
use mainstay_testkit::fixture::{FaultProxy, Flavor, Server, eventually};
use serde_json::json;

use super::super::{BOUND, connect, extent, on_both_flavors};
use super::queue;

on_both_flavors! {
    t7_what_was_pushed_or_ended_is_so_once_though_replies_are_lost
}

const LEASE: Duration = Duration::from_secs(60);

async fn t7_what_was_pushed_or_ended_is_so_once_though_replies_are_lost(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let (lossy, sure) = (connect(&proxy.url()).await, connect(&server.url()).await);
    let (ours, witness) = (queue(&lossy), queue(&sure));
    let is_back = || async {
        eventually("the connection is back", BOUND, async || {
            let health = lossy.health().await;
            health.map(drop).map_err(|error| format!("{error:?}"))
        })
        .await;
    };
    let (rounds, mut dead) = (extent(12, 120), 0);
    for round in 0..rounds {
        is_back().await;
        // A heartbeat may answer in between.
        proxy.drop_reply(1 + round % 2);
        let pushed = ours.push(&json!({"round": round})).await.unwrap();
        assert!(matches!(pushed, Pushed::Added { .. }), "{pushed:?}");
        let taken = witness.take("witness", 10, LEASE).await.unwrap();
        assert_eq!(taken.len(), 1, "round {round}");
        let ticket = taken[0].ticket.clone();
        let reason = "poison".to_owned();
        let outcome = match round % 3 {
            0 => Outcome::Done,
            1 => Outcome::Dead { reason },
            _ => Outcome::Retry {
                after: Duration::from_millis(1),
                reason,
            },
        };
        is_back().await;
        proxy.drop_reply(1 + round % 2);
        let settled = ours.settle(&[(ticket.clone(), outcome)]).await.unwrap();
        assert_eq!(settled, [Settled::Settled], "round {round}");
        dead += u64::from(round % 3 == 1);
        let stats = witness.stats().await.unwrap();
        assert_eq!((stats.dead, stats.in_flight), (dead, 0), "round {round}");
        if round % 3 == 2 {
            let again = eventually("the next attempt", BOUND, async || {
                let mut taken = witness.take("witness", 10, LEASE).await.unwrap();
                taken.pop().ok_or_else(|| "none".to_owned())
            })
            .await;
            assert_eq!((&again.ticket.id, again.attempt), (&ticket.id, 2));
            let done = [(again.ticket, Outcome::Done)];
            assert_eq!(witness.settle(&done).await.unwrap(), [Settled::Settled]);
        }
    }
    let lost = proxy.dropped_replies();
    println!(
        "{flavor}: {rounds} jobs, {lost} replies lost: each pushed once and ended once, {dead} dead letters"
    );
    assert!(lost >= rounds, "{lost}");
    let stats = witness.stats().await.unwrap();
    assert_eq!((stats.ready, stats.delayed, stats.in_flight), (0, 0, 0));
    assert_eq!(witness.dead(0, 1_000).await.unwrap().len() as u64, dead);
}
