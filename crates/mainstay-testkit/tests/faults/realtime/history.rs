//! Histories whose server is killed, loses what it had, or has its latest writes rewritten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::pubsub::{
    Event, History, HistoryGap, HistoryGapReason, HistoryItem, HistorySubscriber, Position,
    Retention, Start,
};
use mainstay::{ErrorKind, Mainstay};
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::{BOUND, COMMAND_TIMEOUT, RECOVERY, SLACK, connect, durable, extent, on_both_flavors};

on_both_flavors! {
    t2_what_a_killed_server_remembers_is_delivered_once
    t2_what_a_killed_server_forgets_lies_in_a_gap
    a_history_that_lost_its_end_is_told_though_it_has_grown_past_the_reader
    what_is_evicted_is_a_gap
}

const PUBLISHERS: u32 = 4;
/// Ends a run.
const LAST: u32 = u32::MAX;

fn history(stay: &Mainstay, name: &str) -> History<u32> {
    let kept = Retention::count(1_000_000).bytes(1 << 30);
    // So little that who does not read has to go back to the log.
    let channel = stay.channel::<u32>(name).buffer_bytes(4_096);
    channel.history(kept).build().unwrap()
}

/// What one publisher was told.
#[derive(Debug, Default)]
struct Told {
    kept: Vec<(Position, u32)>,
    /// May have been published, or not.
    unknown: BTreeSet<u32>,
    /// The longest that a call took.
    longest: Duration,
    /// When it first succeeded after it had failed, in each outage.
    back: Vec<Instant>,
}

async fn publish(history: History<u32>, numbers: impl IntoIterator<Item = u32>) -> Told {
    let mut told = Told::default();
    let mut has_failed = false;
    for number in numbers {
        // An event that was not published for certain is published again, as another.
        loop {
            let asked = Instant::now();
            let published = history.publish("number", &number).await;
            told.longest = told.longest.max(asked.elapsed());
            match published {
                Ok(position) => {
                    told.kept.push((position, number));
                    if has_failed {
                        told.back.push(Instant::now());
                    }
                    has_failed = false;
                    break;
                }
                Err(error) => {
                    has_failed = true;
                    if error.kind() == ErrorKind::Unknown {
                        told.unknown.insert(number);
                        break;
                    }
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                    sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
    told
}

/// What a subscriber was handed until the last event.
#[derive(Debug, Default)]
struct Heard {
    events: Vec<(Position, u32)>,
    gaps: Vec<HistoryGap>,
    /// What was handed out last in each epoch before a gap left it.
    left: BTreeMap<String, u64>,
}

async fn hear(mut subscriber: HistorySubscriber<u32>, mut before: Vec<HistoryItem<u32>>) -> Heard {
    let mut heard = Heard::default();
    loop {
        let next = async {
            timeout(BOUND, subscriber.next())
                .await
                .expect("an item comes")
        };
        let item = match before.pop() {
            Some(item) => item,
            None => next.await,
        };
        match item {
            HistoryItem::Event {
                position, event, ..
            } => {
                if event.data == LAST {
                    return heard;
                }
                heard.events.push((position, event.data));
            }
            HistoryItem::Gap(gap) => {
                if gap.reason == HistoryGapReason::Lost
                    && let Some((last, _)) = heard.events.last()
                {
                    heard.left.insert(last.epoch().to_owned(), gap.from);
                }
                heard.gaps.push(gap);
            }
            other => panic!("neither an event nor a gap: {other:?}"),
        }
    }
}

/// Every event that was published for certain is handed out once and in order, or in a gap: how many
/// are in gaps.
fn judge(told: &[Told], heard: &Heard) -> u32 {
    let mut places = BTreeSet::new();
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    for (position, number) in &heard.events {
        let place = (position.epoch(), position.sequence());
        assert!(places.insert(place), "{place:?} came twice ({number})");
        let before = latest.insert(position.epoch(), position.sequence());
        assert!(
            before < Some(position.sequence()),
            "{place:?} after {before:?}"
        );
    }
    let numbers: BTreeMap<_, _> = heard.events.iter().cloned().map(|(p, n)| (n, p)).collect();
    assert_eq!(numbers.len(), heard.events.len(), "a number came twice");
    let mut in_gaps = 0;
    for (position, number) in told.iter().flat_map(|told| &told.kept) {
        if let Some(at) = numbers.get(number) {
            assert_eq!(at, position, "{number} came from another place");
            continue;
        }
        let is_lost = match heard.left.get(position.epoch()) {
            Some(from) => position.sequence() >= *from,
            // Nobody heard of this epoch at all.
            None => {
                !latest.contains_key(position.epoch())
                    && heard.gaps.iter().any(|gap| gap.to.is_none())
            }
        };
        assert!(
            is_lost,
            "{number} at {position} is missing without a word: {:?}",
            heard.gaps
        );
        in_gaps += 1;
    }
    let known: BTreeSet<_> = told
        .iter()
        .flat_map(|told| {
            told.kept
                .iter()
                .map(|(_, number)| number)
                .chain(&told.unknown)
        })
        .collect();
    for number in numbers.keys() {
        assert!(known.contains(number), "{number} was never published");
    }
    println!(
        "history: {} handed out, {in_gaps} in {} gaps, {} unknown",
        heard.events.len(),
        heard.gaps.len(),
        told.iter().map(|told| told.unknown.len()).sum::<usize>()
    );
    in_gaps
}

/// Kills the server twice while four publishers are at it; what was published, and what was heard by
/// who reads at once, and by who reads nothing until the end.
async fn kill_twice(server: &mut Server) -> (Vec<Told>, [Heard; 2]) {
    let each: u32 = extent(1_000, 25_000);
    let (publishing, listening) = (connect(&server.url()).await, connect(&server.url()).await);
    let subscriber = history(&listening, "numbers").subscribe().await.unwrap();
    let hearing = tokio::spawn(hear(subscriber, Vec::new()));
    let mut late = history(&listening, "numbers").subscribe().await.unwrap();
    let counted = history(&publishing, "numbers");
    let (halfway, half) = oneshot::channel();
    let mut halfway = Some(halfway);
    let publishers = (0..PUBLISHERS).map(|publisher| {
        let halfway = halfway.take();
        let numbers = (0..each).map(move |number| publisher * each + number);
        let (early, late): (Vec<_>, Vec<_>) = numbers.partition(|number| number % each < each / 2);
        let history = counted.clone();
        tokio::spawn(async move {
            let mut told = publish(history.clone(), early).await;
            if let Some(halfway) = halfway {
                halfway.send(()).unwrap();
            }
            let rest = publish(history, late).await;
            told.kept.extend(rest.kept);
            told.unknown.extend(rest.unknown);
            told.longest = told.longest.max(rest.longest);
            told.back.extend(rest.back);
            told
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let witness = history(&publishing, "numbers");
    eventually("some are published", BOUND, async || {
        let kept = witness.read(Start::Beginning, 200).await;
        let count = kept.map_or(0, |kept| kept.len());
        if count < 200 {
            Err(count.to_string())
        } else {
            Ok(())
        }
    })
    .await;
    let first = timeout(BOUND, late.next()).await.expect("an item comes");
    let mut returns = Vec::new();
    server.kill();
    server.restart().await;
    returns.push(Instant::now());
    half.await.unwrap();
    server.kill();
    server.restart().await;
    returns.push(Instant::now());
    let told: Vec<Told> = join_all(publishers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    counted.publish("number", &LAST).await.unwrap();
    let heard = timeout(BOUND, hearing).await.expect("it ends").unwrap();
    let heard_late = timeout(BOUND, hear(late, vec![first]))
        .await
        .expect("it ends");
    for told in &told {
        assert!(told.longest < COMMAND_TIMEOUT + SLACK, "{:?}", told.longest);
        for back in &told.back {
            let since = returns
                .iter()
                .filter_map(|at| back.checked_duration_since(*at))
                .min();
            assert!(
                since.is_none_or(|since| since < RECOVERY),
                "back after {since:?}"
            );
        }
    }
    (told, [heard, heard_late])
}

async fn t2_what_a_killed_server_remembers_is_delivered_once(flavor: Flavor) {
    let mut server = durable(flavor).await;
    let (told, heard) = kill_twice(&mut server).await;
    for heard in heard {
        assert_eq!(judge(&told, &heard), 0);
        assert_eq!(heard.gaps, [], "all that was answered was on the disk");
    }
}

async fn t2_what_a_killed_server_forgets_lies_in_a_gap(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    let (told, heard) = kill_twice(&mut server).await;
    let in_gaps = heard.map(|heard| {
        let reasons: BTreeSet<_> = heard.gaps.iter().map(|gap| gap.reason.as_str()).collect();
        assert_eq!(Vec::from_iter(reasons), ["lost"], "{:?}", heard.gaps);
        judge(&told, &heard)
    });
    assert!(
        in_gaps[1] > 0,
        "who has read nothing has lost what was forgotten"
    );
}

/// As a failover to a replica that had not got the latest writes.
async fn a_history_that_lost_its_end_is_told_though_it_has_grown_past_the_reader(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    let (publishing, listening) = (connect(&server.url()).await, connect(&server.url()).await);
    let numbers = history(&publishing, "numbers");
    let mut subscriber = history(&listening, "numbers").subscribe().await.unwrap();
    publish(numbers.clone(), 1..=5).await;
    assert_eq!(server.command(&["SAVE"]).await.text(), "OK");
    publish(numbers.clone(), 6..=10).await;
    for number in 1..=10 {
        let item = timeout(BOUND, subscriber.next()).await.unwrap();
        let HistoryItem::Event { event, .. } = item else {
            panic!("no event: {item:?}");
        };
        assert_eq!(event.data, number);
    }
    let place = subscriber.position().clone();
    server.restart().await;
    let told = publish(numbers.clone(), 106..=112).await;
    let after: Vec<_> = told.kept.iter().map(|(at, _)| at.sequence()).collect();
    assert_eq!(after, [6, 7, 8, 9, 10, 11, 12]);

    // Events 6 to 10 of now are not those of before. Comparing numbers alone would go on with 11.
    let numbers = history(&listening, "numbers");
    let resumed = numbers.subscribe_from(Start::After(place)).await.unwrap();
    for mut subscriber in [subscriber, resumed] {
        let item = timeout(BOUND, subscriber.next()).await.unwrap();
        let HistoryItem::Gap(gap) = item else {
            panic!("no gap: {item:?}");
        };
        assert_eq!(gap.reason, HistoryGapReason::Rewritten);
        assert!(gap.from <= 6 && gap.to >= Some(10), "{gap:?}");
        for number in gap.to.unwrap() + 1..=12 {
            let item = timeout(BOUND, subscriber.next()).await.unwrap();
            let HistoryItem::Event {
                position, event, ..
            } = item
            else {
                panic!("no event: {item:?}");
            };
            let expected = 100 + u32::try_from(number).unwrap();
            assert_eq!((position.sequence(), event.data), (number, expected));
        }
    }
}

async fn what_is_evicted_is_a_gap(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let numbers = history(&stay, "numbers");
    let first = numbers.publish("number", &1).await.unwrap();
    for (key, reason, from) in [
        ("{history:numbers}:l", HistoryGapReason::Trimmed, 2),
        ("history:numbers", HistoryGapReason::Lost, 2),
    ] {
        let place = numbers.publish("number", &2).await.unwrap();
        assert_eq!(server.command(&["DEL", key]).await.integer(), 1);
        let once = Event::new("number", 3);
        let after = numbers.publish_once(&once).await.unwrap().position;
        let items = numbers.read(Start::After(first.clone()), 10).await.unwrap();
        let HistoryItem::Gap(gap) = &items[0] else {
            panic!("no gap: {items:?}");
        };
        assert_eq!((gap.reason, gap.from), (reason, from), "{key} {place}");
        let HistoryItem::Event { position, .. } = &items[1] else {
            panic!("no event: {items:?}");
        };
        assert_eq!((position, items.len()), (&after, 2));
    }
}
