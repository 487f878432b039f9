//! Connections that answer and deliver nothing.

use std::time::Duration;

use mainstay::backend::Status;
use mainstay::pubsub::{GapReason, HistoryItem, Item, Retention};
use mainstay_testkit::fixture::{FaultProxy, Flavor, Server, eventually};
use tokio::time::{Instant, timeout};

use super::{BOUND, NOTICE, RECOVERY, connect, login, on_both_flavors};

on_both_flavors! {
    t6_a_connection_that_swallows_events_is_noticed_and_nothing_is_lost_in_silence
    a_login_that_may_not_use_the_probes_channel_still_hears_events
}

async fn t6_a_connection_that_swallows_events_is_noticed_and_nothing_is_lost_in_silence(
    flavor: Flavor,
) {
    let server = Server::start(flavor).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let stay = connect(&proxy.url()).await;
    let elsewhere = connect(&server.url()).await;
    let kept = Retention::count(100);
    let history = |stay: &mainstay::Mainstay| {
        let channel = stay.channel::<u32>("kept").history(kept);
        channel.build().unwrap()
    };
    let mut plain = stay
        .channel::<u32>("plain")
        .build()
        .unwrap()
        .subscribe()
        .await
        .unwrap();
    let mut numbers = history(&stay).subscribe().await.unwrap();

    let since = Instant::now();
    proxy.swallow_pushes();
    // It is asked for nothing: what is sent has nobody who would notice.
    for number in 0..10 {
        history(&elsewhere)
            .publish("number", &number)
            .await
            .unwrap();
        let channel = elsewhere.channel::<u32>("plain").build().unwrap();
        channel.publish("number", &number).await.unwrap();
    }
    eventually("it is noticed", NOTICE, async || match stay.status() {
        Status::Down => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    println!(
        "{flavor}: swallowed events were noticed after {:?}",
        since.elapsed()
    );
    stay.health().await.unwrap_err();

    let since = Instant::now();
    proxy.forward_pushes();
    let item = timeout(BOUND, plain.next()).await.unwrap();
    assert!(
        matches!(item, Item::Gap(GapReason::Disconnected)),
        "{item:?}"
    );
    for number in 0..10 {
        let item = timeout(BOUND, numbers.next()).await.unwrap();
        let HistoryItem::Event { event, .. } = item else {
            panic!("no event: {item:?}");
        };
        assert_eq!(event.data, number);
    }
    let took = since.elapsed();
    println!("{flavor}: all was there {took:?} after the connection was good again");
    assert!(took < RECOVERY, "{took:?}");
    eventually("it is well", Duration::from_secs(5), async || {
        match stay.status() {
            Status::Up => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn a_login_that_may_not_use_the_probes_channel_still_hears_events(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let user = login(&server, &["~*", "+@all", "resetchannels", "&plain"]).await;
    let url = format!("redis://{user}{}", server.addr());
    let stay = connect(&url).await;
    let channel = stay.channel::<u32>("plain").build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    // Longer than a few heartbeats.
    let until = Instant::now() + Duration::from_secs(2);
    let mut number = 0;
    while Instant::now() < until {
        channel.publish("number", &number).await.unwrap();
        let item = timeout(BOUND, subscriber.next()).await.unwrap();
        let Item::Event { event, .. } = item else {
            panic!("no event: {item:?}");
        };
        assert_eq!(event.data, number);
        number += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
