//! Values in the process, and that they are what the store has.

use mainstay::Mainstay;
use mainstay::cache::{Cache, Near};

use super::loading::Gate;
use super::{Subject, ms};
use crate::fixture::eventually;

/// What the values may lag behind.
const BOUND: std::time::Duration = ms(2_000);

fn near(stay: &Mainstay) -> Cache<u32> {
    let cache = stay
        .cache("near")
        .near(Near::new(1 << 20).max_staleness(BOUND));
    cache.build().unwrap()
}

async fn reads(subject: &Subject, cache: &Cache<u32>, wanted: Option<u32>) {
    let look = async || match cache.get("key").await.unwrap() {
        found if found == wanted => Ok(()),
        found => Err(format!("{found:?}")),
    };
    subject
        .elapse(eventually("what was written", BOUND, look))
        .await;
}

pub async fn a_value_that_was_read_is_served_by_the_process(subject: &Subject) {
    let cache = near(subject.stay());
    cache.set("key", &7).await.unwrap();
    for _ in 0..3 {
        assert_eq!(cache.get("key").await.unwrap(), Some(7));
    }
    let stats = cache.stats();
    assert_eq!((stats.remote_hits, stats.near_hits), (1, 2));
    assert_eq!(stats.near_entries, 1);
}

pub async fn a_process_reads_what_it_wrote_through_every_handle(subject: &Subject) {
    let (first, second) = (near(subject.stay()), near(subject.stay()));
    for value in 0..20 {
        first.set("key", &value).await.unwrap();
        for cache in [&second, &first, &second] {
            assert_eq!(cache.get("key").await.unwrap(), Some(value));
        }
    }
    second.remove("key").await.unwrap();
    assert_eq!(first.get("key").await.unwrap(), None);
}

pub async fn what_another_process_writes_is_seen_within_the_bound(subject: &Subject) {
    let name = "what_another_process_writes_is_seen_within_the_bound";
    let Some(other) = subject.other_process().await else {
        return subject.skip(name, "memory belongs to one process");
    };
    let (ours, theirs) = (near(subject.stay()), near(&other));
    for value in 0..10 {
        theirs.set("key", &value).await.unwrap();
        reads(subject, &ours, Some(value)).await;
        assert_eq!(ours.get("key").await.unwrap(), Some(value));
    }
    theirs.remove("key").await.unwrap();
    reads(subject, &ours, None).await;
}

pub async fn a_near_value_goes_with_its_ttl(subject: &Subject) {
    let cache = near(subject.stay());
    cache.set_with_ttl("key", &7, ms(60)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(cache.get("key").await.unwrap(), Some(7));
    }
    subject.advance(ms(80)).await;
    assert_eq!(cache.get("key").await.unwrap(), None);
}

pub async fn a_load_that_a_removal_overtakes_is_not_kept_near(subject: &Subject) {
    let cache = near(subject.stay());
    let gate = Gate::closed();
    let load = cache.get_or_load("key", gate.loader(Ok(1)));
    let removal = async {
        gate.started().await;
        cache.remove("key").await.unwrap();
        gate.open();
    };
    assert_eq!(tokio::join!(load, removal).0.unwrap(), 1);
    for _ in 0..2 {
        assert_eq!(cache.get("key").await.unwrap(), None);
    }
}

pub async fn several_keys_are_read_at_once_and_in_their_order(subject: &Subject) {
    let cache = near(subject.stay());
    for value in 0..50 {
        cache.set(&value.to_string(), &value).await.unwrap();
    }
    let keys: Vec<_> = (0..60).map(|key: u32| key.to_string()).collect();
    for _ in 0..2 {
        let values = cache.get_many(&keys).await.unwrap();
        for (value, key) in values.into_iter().zip(0..) {
            assert_eq!(value, (key < 50).then_some(key));
        }
    }
    assert_eq!(cache.stats().near_hits, 50);
}

pub async fn compressed_entries_weigh_what_they_take_in_the_process(subject: &Subject) {
    const MOST: u64 = 1 << 20;
    const SIZE: usize = 100 << 10;
    let cache = subject.stay().cache::<String>("texts");
    let cache = cache.near(Near::new(MOST)).compress_above(1_000);
    let cache = cache.build().unwrap();
    let text = "x".repeat(SIZE);
    for key in 0..30_u32 {
        cache.set(key.to_string(), &text).await.unwrap();
        for _ in 0..2 {
            assert!(cache.get(key.to_string()).await.unwrap().is_some());
        }
    }
    let stats = cache.stats();
    assert!(stats.near_entries > 0 && stats.near_bytes <= MOST);
    assert!(stats.near_entries * SIZE as u64 <= MOST, "{stats:?}");
}

pub async fn a_process_reads_what_it_has_loaded_anew(subject: &Subject) {
    let cache = near(subject.stay());
    for number in 0..100 {
        let load = move || async move { Ok::<_, std::io::Error>(number) };
        assert_eq!(cache.refresh("key", load).await.unwrap(), number);
        for _ in 0..2 {
            assert_eq!(cache.get("key").await.unwrap(), Some(number));
        }
    }
}
