//! Events: order, fan-out, gaps, and what is no event.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::pubsub::{Event, GapReason, Item, Subscriber};
use mainstay::{ErrorKind, Name};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Subject;
use crate::fixture::eventually;

const EVENTS: u32 = 200;

/// The next item; panics when there is none in time.
async fn next<T: DeserializeOwned>(subscriber: &mut Subscriber<T>) -> Item<T> {
    timeout(Subject::BOUND, subscriber.next())
        .await
        .expect("an item arrives")
}

/// The next event; panics at anything else.
async fn event<T: DeserializeOwned>(subscriber: &mut Subscriber<T>) -> Event<T> {
    match next(subscriber).await {
        Item::Event { event, .. } => event,
        Item::Gap(reason) => panic!("a gap: {reason:?}"),
        _ => panic!("neither an event nor a gap"),
    }
}

pub async fn events_of_one_publisher_arrive_in_order(subject: &Subject) {
    let channel = subject.stay().channel::<u32>("numbers").build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    for number in 0..EVENTS {
        channel.publish("number", &number).await.unwrap();
    }
    for number in 0..EVENTS {
        assert_eq!(event(&mut subscriber).await.data, number);
    }
}

pub async fn every_subscriber_hears_every_event(subject: &Subject) {
    let channel = subject.stay().channel::<u32>("numbers").build().unwrap();
    let subscribers = join_all((0..10).map(|_| channel.subscribe())).await;
    for number in 0..5 {
        channel.publish("number", &number).await.unwrap();
    }
    for subscriber in subscribers {
        let mut subscriber = subscriber.unwrap();
        for number in 0..5 {
            assert_eq!(event(&mut subscriber).await.data, number);
        }
    }
}

pub async fn an_event_arrives_as_it_was_published(subject: &Subject) {
    let builder = subject.stay().channel::<Value>("news").source("urn:suite");
    let channel = builder.build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    let data = json!({"text": "ünïcode \u{1F980} \"quoted\"", "list": [1, null, 2.5]});
    channel.publish("de.example.news", &data).await.unwrap();
    let Item::Event {
        channel: name,
        event,
        ..
    } = next(&mut subscriber).await
    else {
        panic!("no event");
    };
    assert_eq!(&name, channel.name());
    assert_eq!(
        (event.kind.as_str(), event.source.as_str()),
        ("de.example.news", "urn:suite")
    );
    assert_eq!(event.data, data);
    assert!(!event.id.is_empty());
}

pub async fn a_slow_subscriber_gets_a_gap_with_the_number_dropped(subject: &Subject) {
    let builder = subject.stay().channel::<u32>("numbers").buffer_bytes(4096);
    let channel = builder.build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    let mut witness = subject
        .stay()
        .channel::<u32>("numbers")
        .build()
        .unwrap()
        .subscribe()
        .await
        .unwrap();
    for number in 0..EVENTS {
        channel.publish("number", &number).await.unwrap();
    }
    // Once the witness has the last one, it has passed the slow subscriber too.
    for number in 0..EVENTS {
        assert_eq!(event(&mut witness).await.data, number);
    }
    let mut expected = 0;
    let gap = loop {
        match next(&mut subscriber).await {
            Item::Event { event, .. } => assert_eq!(event.data, expected),
            Item::Gap(GapReason::Overflow { dropped }) => break dropped,
            other => panic!("neither an event nor an overflow: {other:?}"),
        }
        expected += 1;
    };
    assert!(expected > 0, "4 KiB hold some events");
    assert_eq!(u64::from(expected) + gap, u64::from(EVENTS));

    channel.publish("number", &EVENTS).await.unwrap();
    assert_eq!(event(&mut subscriber).await.data, EVENTS);
}

pub async fn a_slow_subscriber_slows_nobody_else(subject: &Subject) {
    let channel = subject
        .stay()
        .channel::<u32>("numbers")
        .buffer_bytes(64)
        .build()
        .unwrap();
    let _never_reads = channel.subscribe().await.unwrap();
    let wide = subject.stay().channel::<u32>("numbers").build().unwrap();
    let mut subscriber = wide.subscribe().await.unwrap();
    for number in 0..EVENTS {
        wide.publish("number", &number).await.unwrap();
        assert_eq!(event(&mut subscriber).await.data, number);
    }
}

pub async fn a_dropped_subscriber_is_unsubscribed(subject: &Subject) {
    let channel = subject.stay().channel::<u32>("numbers").build().unwrap();
    let (dropped, mut kept) = tokio::join!(channel.subscribe(), channel.subscribe());
    drop(dropped.unwrap());
    channel.publish("number", &1).await.unwrap();
    let kept = kept.as_mut().unwrap();
    assert_eq!(event(kept).await.data, 1);

    let other = subject.stay().channel::<u32>("others").build().unwrap();
    drop(other.subscribe().await.unwrap());
    eventually("nobody listens", Duration::from_secs(5), async || {
        let heard_by = match subject.listeners("others").await {
            Some(listeners) => listeners.unsigned_abs(),
            None => other.publish("number", &1).await.unwrap(),
        };
        match heard_by {
            0 => Ok(()),
            some => Err(format!("{some} listen")),
        }
    })
    .await;
}

pub async fn one_subscriber_listens_to_several_channels(subject: &Subject) {
    let names = ["a/b", "a.b", "c"].map(|name| Name::new(name).unwrap());
    let mut subscriber = subject.stay().subscribe(&names, 1 << 20).await.unwrap();
    let outside = subject.stay().channel::<u32>("d").build().unwrap();
    outside.publish("number", &0).await.unwrap();
    for (number, name) in (1_u32..).zip(&names) {
        let channel = subject
            .stay()
            .channel::<u32>(name.as_str())
            .build()
            .unwrap();
        channel.publish("number", &number).await.unwrap();
        let Item::Event {
            channel: from,
            event,
            ..
        } = next(&mut subscriber).await
        else {
            panic!("no event");
        };
        assert_eq!((&from, event.data), (name, json!(number)));
    }
}

pub async fn an_event_that_does_not_decode_is_handed_out_as_such(subject: &Subject) {
    let numbers = subject.stay().channel::<u32>("mixed").build().unwrap();
    let texts = subject.stay().channel::<String>("mixed").build().unwrap();
    let mut subscriber = numbers.subscribe().await.unwrap();
    texts
        .publish("text", &"no number".to_owned())
        .await
        .unwrap();
    numbers.publish("number", &3).await.unwrap();
    let Item::Undecodable {
        channel,
        payload,
        error,
        ..
    } = next(&mut subscriber).await
    else {
        panic!("it was decoded");
    };
    assert_eq!(&channel, numbers.name());
    assert_eq!(error.kind(), ErrorKind::Codec);
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["data"], "no number");
    assert_eq!(event(&mut subscriber).await.data, 3);
}

pub async fn json_of_another_program_becomes_an_event(subject: &Subject) {
    let channel = subject.stay().channel::<Value>("plain").build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    let typed = json!({"type": "order.created", "id": 7});
    if !subject.publish_plainly("plain", &typed.to_string()).await {
        let name = "json_of_another_program_becomes_an_event";
        return subject.skip(name, "no other program reaches the memory of this one");
    }
    let heard = event(&mut subscriber).await;
    assert_eq!(
        (heard.kind.as_str(), &heard.data),
        ("order.created", &typed)
    );
    assert_eq!((heard.id.as_str(), heard.source.as_str()), ("", ""));

    subject.publish_plainly("plain", "[1,2]").await;
    let heard = event(&mut subscriber).await;
    assert_eq!(
        (heard.kind.as_str(), heard.data),
        ("message", json!([1, 2]))
    );

    subject.publish_plainly("plain", "no json").await;
    let Item::Undecodable { payload, .. } = next(&mut subscriber).await else {
        panic!("it was decoded");
    };
    assert_eq!(&payload[..], b"no json");
}

pub async fn an_event_over_the_size_limit_is_refused(subject: &Subject) {
    let channel = subject.stay().channel::<String>("texts").build().unwrap();
    let refused = channel
        .publish("text", &"x".repeat(1 << 20))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    channel.publish("text", &"x".repeat(1 << 19)).await.unwrap();
}
