//! Channels that keep what was published: order, resuming, gaps, retention.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use mainstay::ErrorKind;
use mainstay::pubsub::{
    Event, History, HistoryGapReason, HistoryItem, HistorySubscriber, Position, Retention, Start,
};
use tokio::time::timeout;

use super::{Subject, ms};

const HOUR: Duration = Duration::from_secs(3600);

fn history(subject: &Subject, name: &str, retention: Retention) -> History<u32> {
    let builder = subject.stay().channel::<u32>(name).history(retention);
    builder.build().unwrap()
}

fn kept(subject: &Subject) -> History<u32> {
    history(subject, "numbers", Retention::count(10_000))
}

async fn publish(history: &History<u32>, numbers: impl IntoIterator<Item = u32>) -> Vec<Position> {
    let mut positions = Vec::new();
    for number in numbers {
        positions.push(history.publish("number", &number).await.unwrap());
    }
    positions
}

async fn next(subscriber: &mut HistorySubscriber<u32>) -> HistoryItem<u32> {
    timeout(Subject::BOUND, subscriber.next())
        .await
        .expect("an item arrives")
}

/// The next event; panics at anything else.
async fn event(subscriber: &mut HistorySubscriber<u32>) -> (Position, Event<u32>) {
    match next(subscriber).await {
        HistoryItem::Event {
            position, event, ..
        } => (position, event),
        other => panic!("no event: {other:?}"),
    }
}

/// The numbers that are read from a place on; panics at anything but events.
async fn read(history: &History<u32>, start: Start) -> Vec<u32> {
    let items = history.read(start, 1_000).await.unwrap();
    let number = |item| match item {
        HistoryItem::Event { event, .. } => event.data,
        other => panic!("no event: {other:?}"),
    };
    items.into_iter().map(number).collect()
}

pub async fn events_are_numbered_and_handed_out_in_order(subject: &Subject) {
    let history = kept(subject);
    let mut subscriber = history.subscribe().await.unwrap();
    let positions = publish(&history, 0..300).await;
    for (number, position) in (0..).zip(&positions) {
        assert_eq!(position.sequence(), u64::from(number) + 1);
        let (at, event) = event(&mut subscriber).await;
        assert_eq!((&at, event.data), (position, number));
        assert_eq!(subscriber.position(), position);
    }
}

pub async fn who_comes_late_reads_what_is_kept_and_goes_on(subject: &Subject) {
    let history = kept(subject);
    publish(&history, 0..600).await;
    let mut subscriber = history.subscribe_from(Start::Beginning).await.unwrap();
    for number in 0..600 {
        assert_eq!(event(&mut subscriber).await.1.data, number);
    }
    publish(&history, 600..610).await;
    for number in 600..610 {
        assert_eq!(event(&mut subscriber).await.1.data, number);
    }
}

pub async fn a_subscriber_goes_on_after_the_place_it_names(subject: &Subject) {
    let history = kept(subject);
    let positions = publish(&history, 0..10).await;
    // As it comes out of a cookie or a header.
    let place = positions[6].to_string().parse().unwrap();
    let mut subscriber = history.subscribe_from(Start::After(place)).await.unwrap();
    for number in 7..10 {
        assert_eq!(event(&mut subscriber).await.1.data, number);
    }
    let last = positions[9].clone();
    let mut subscriber = history.subscribe_from(Start::After(last)).await.unwrap();
    publish(&history, [10]).await;
    assert_eq!(event(&mut subscriber).await.1.data, 10);
}

pub async fn a_subscriber_that_attaches_while_others_publish_misses_nothing(subject: &Subject) {
    let history = kept(subject);
    let publishers = (0..4).map(|publisher| {
        let history = history.clone();
        async move { publish(&history, (0..100).map(|n| publisher * 1_000 + n)).await }
    });
    let subscribers = (0..8).map(|_| {
        let history = history.clone();
        async move {
            let mut subscriber = history.subscribe_from(Start::Beginning).await.unwrap();
            let mut heard = Vec::new();
            for _ in 0..400 {
                let (position, event) = event(&mut subscriber).await;
                heard.push((position, event.data));
            }
            heard
        }
    });
    let (published, heard) = tokio::join!(join_all(publishers), join_all(subscribers));
    let mut expected: Vec<(Position, u32)> = Vec::new();
    for (publisher, positions) in (0..).zip(published) {
        let numbered = positions.into_iter().zip(0..);
        expected.extend(numbered.map(|(position, n)| (position, publisher * 1_000 + n)));
    }
    expected.sort_by_key(|(position, _)| position.sequence());
    for heard in heard {
        assert_eq!(heard, expected);
    }
}

pub async fn a_slow_subscriber_of_a_history_misses_nothing(subject: &Subject) {
    let channel = subject.stay().channel::<u32>("numbers").buffer_bytes(2_000);
    let history = channel.history(Retention::count(10_000)).build().unwrap();
    let mut subscriber = history.subscribe().await.unwrap();
    publish(&history, 0..300).await;
    for number in 0..300 {
        assert_eq!(event(&mut subscriber).await.1.data, number);
    }
}

pub async fn an_event_larger_than_a_buffer_arrives(subject: &Subject) {
    let channel = subject.stay().channel::<String>("texts").buffer_bytes(64);
    let history = channel.history(Retention::count(10)).build().unwrap();
    let mut subscriber = history.subscribe().await.unwrap();
    // Two neighbours are more than a page of the log.
    let sizes = [10, 200_000, 70_000, 1_000_000, 900_000, 10];
    for size in sizes {
        history.publish("text", &"x".repeat(size)).await.unwrap();
    }
    let read = history.read(Start::Beginning, 10).await.unwrap();
    assert_eq!(read.len(), sizes.len());
    for size in sizes {
        let item = timeout(Subject::BOUND, subscriber.next()).await.unwrap();
        let HistoryItem::Event { event, .. } = item else {
            panic!("no event: {item:?}");
        };
        assert_eq!(event.data.len(), size);
    }
}

pub async fn no_more_events_are_kept_than_the_retention_counts(subject: &Subject) {
    let history = history(subject, "numbers", Retention::count(5));
    let positions = publish(&history, 0..12).await;
    assert_eq!(read(&history, Start::Beginning).await, [7, 8, 9, 10, 11]);
    let start = Start::After(positions[2].clone());
    let items = history.read(start, 1_000).await.unwrap();
    let HistoryItem::Gap(gap) = &items[0] else {
        panic!("no gap: {items:?}");
    };
    assert_eq!(gap.reason, HistoryGapReason::Trimmed);
    assert_eq!((gap.from, gap.to), (4, Some(7)));
    assert_eq!(items.len(), 6);
    // The place itself is gone, but nothing after it.
    let start = Start::After(positions[6].clone());
    assert_eq!(read(&history, start).await, [7, 8, 9, 10, 11]);
}

pub async fn no_event_is_handed_out_that_is_too_old(subject: &Subject) {
    let age = ms(400);
    let history = history(subject, "numbers", Retention::count(100).age(age));
    let positions = publish(&history, 0..3).await;
    subject.advance(age + ms(20)).await;
    assert_eq!(read(&history, Start::Beginning).await, [0_u32; 0]);
    publish(&history, 3..5).await;
    assert_eq!(read(&history, Start::Beginning).await, [3, 4]);
    let start = Start::After(positions[0].clone());
    let mut subscriber = history.subscribe_from(start).await.unwrap();
    let HistoryItem::Gap(gap) = next(&mut subscriber).await else {
        panic!("no gap");
    };
    assert_eq!((gap.from, gap.to), (2, Some(3)));
    assert_eq!(event(&mut subscriber).await.1.data, 3);
}

pub async fn no_more_bytes_are_kept_than_the_retention_says(subject: &Subject) {
    let channel = subject.stay().channel::<String>("texts");
    let history = channel
        .history(Retention::count(1_000).bytes(10_000))
        .build()
        .unwrap();
    for _ in 0..20 {
        history.publish("text", &"x".repeat(1_000)).await.unwrap();
    }
    let kept = history.read(Start::Beginning, 1_000).await.unwrap().len();
    // An event has some 200 bytes around its data.
    assert!((7..=9).contains(&kept), "{kept} are kept");
    history.publish("text", &"x".repeat(50_000)).await.unwrap();
    let kept = history.read(Start::Beginning, 1_000).await.unwrap().len();
    assert_eq!(kept, 1, "the latest is kept whatever its size");
}

pub async fn an_event_is_published_once_however_often_it_is_sent(subject: &Subject) {
    let history = kept(subject);
    let event = Event::new("number", 7).with_id("a {strange} id");
    let sent = join_all((0..8).map(|_| history.publish_once(&event))).await;
    let sent: Vec<_> = sent.into_iter().map(Result::unwrap).collect();
    assert_eq!(sent.iter().filter(|sent| !sent.is_repeated).count(), 1);
    assert!(sent.iter().all(|other| other.position == sent[0].position));
    let other = Event::new("number", 8).with_id("another");
    assert!(!history.publish_once(&other).await.unwrap().is_repeated);
    let elsewhere = Event::new("number", 9)
        .with_id("another")
        .with_source("elsewhere");
    assert!(!history.publish_once(&elsewhere).await.unwrap().is_repeated);
    assert_eq!(read(&history, Start::Beginning).await, [7, 8, 9]);
}

pub async fn what_is_read_has_a_bound_and_a_time(subject: &Subject) {
    let history = kept(subject);
    assert!(history.read(Start::Beginning, 10).await.unwrap().is_empty());
    publish(&history, 0..30).await;
    let items = history.read(Start::Beginning, 10).await.unwrap();
    assert_eq!(items.len(), 10);
    let mut earlier = SystemTime::UNIX_EPOCH;
    for item in items {
        let HistoryItem::Event {
            published, event, ..
        } = item
        else {
            panic!("no event: {item:?}");
        };
        assert!(published >= earlier && event.time.is_some());
        earlier = published;
    }
    assert!(history.read(Start::Beginning, 0).await.unwrap().is_empty());
    assert_eq!(read(&history, Start::Now).await, [0_u32; 0]);
}

pub async fn histories_of_different_channels_are_apart(subject: &Subject) {
    let [one, two] = ["one", "two"].map(|name| history(subject, name, Retention::count(10)));
    let mut subscriber = two.subscribe().await.unwrap();
    publish(&one, 0..3).await;
    publish(&two, 10..11).await;
    let (position, event) = event(&mut subscriber).await;
    assert_eq!((position.sequence(), event.data), (1, 10));
    assert_eq!(read(&one, Start::Beginning).await, [0, 1, 2]);
}

pub async fn what_is_no_event_of_the_type_has_its_place_too(subject: &Subject) {
    let texts = subject.stay().channel::<String>("numbers");
    let texts = texts.history(Retention::count(10)).build().unwrap();
    texts.publish("text", &"none".to_owned()).await.unwrap();
    let history = kept(subject);
    publish(&history, [7]).await;
    let items = history.read(Start::Beginning, 10).await.unwrap();
    let [
        HistoryItem::Undecodable {
            position, error, ..
        },
        HistoryItem::Event { event, .. },
    ] = items.as_slice()
    else {
        panic!("{items:?}");
    };
    assert_eq!((position.sequence(), error.kind()), (1, ErrorKind::Codec));
    assert_eq!(event.data, 7);
}

pub async fn a_place_of_another_history_is_told_apart(subject: &Subject) {
    let [one, two] = ["one", "two"].map(|name| history(subject, name, Retention::count(10)));
    let elsewhere = publish(&one, 0..2).await;
    publish(&two, 10..13).await;
    let start = Start::After(elsewhere[1].clone());
    let items = two.read(start, 10).await.unwrap();
    let HistoryItem::Gap(gap) = &items[0] else {
        panic!("no gap: {items:?}");
    };
    assert_eq!((gap.reason, gap.to), (HistoryGapReason::Lost, None));
    assert_eq!(items.len(), 4);
}

pub async fn only_a_retention_that_keeps_nothing_or_too_much_is_refused(subject: &Subject) {
    for (retention, said) in [
        (Retention::count(0), "a history keeps 1 to 10000000 events"),
        (
            Retention::count(1).bytes(0),
            "a history keeps at least 1 byte",
        ),
        (
            Retention::count(1).age(Duration::ZERO),
            "ttl is zero: it must be at least 1 ms",
        ),
        (
            Retention::count(1).age(HOUR * 24 * 366 * 10),
            "ttl is longer than 10 years",
        ),
    ] {
        let builder = subject.stay().channel::<u32>("c").history(retention);
        let error = builder.build().unwrap_err();
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (ErrorKind::Invalid, said)
        );
    }
    let one = history(subject, "numbers", Retention::count(1));
    publish(&one, 0..2).await;
    assert_eq!(read(&one, Start::Beginning).await, [1]);
}

pub async fn no_key_of_a_history_is_immortal(subject: &Subject) {
    let history = kept(subject);
    publish(&history, 0..3).await;
    let once = Event::new("number", 7);
    history.publish_once(&once).await.unwrap();
    let read_only = self::history(subject, "unwritten", Retention::count(1));
    assert_eq!(read(&read_only, Start::Beginning).await, [0_u32; 0]);
    assert_eq!(subject.endless_keys().await, [""; 0]);
}
