//! Entries that are invalidated together.

use std::io;

use mainstay::cache::{Cache, EntryOptions, Near};
use mainstay::{ErrorKind, Mainstay};

use super::loading::Gate;
use super::{Subject, ms};
use crate::fixture::eventually;

/// Texts with their first word as a tag.
fn tagged(stay: &Mainstay) -> Cache<String> {
    let first = |text: &String| text.split(' ').next().map(str::to_owned);
    let cache = stay.cache("tagged").tags(first).near(Near::new(1 << 20));
    cache.build().unwrap()
}

async fn set(cache: &Cache<String>, key: &str, text: &str) {
    cache.set(key, &text.to_owned()).await.unwrap();
}

async fn exist(cache: &Cache<String>, keys: &[&str]) -> Vec<bool> {
    let values = cache.get_many(keys).await.unwrap();
    values.iter().map(Option::is_some).collect()
}

pub async fn a_tag_takes_its_entries_and_no_others(subject: &Subject) {
    let cache = tagged(subject.stay());
    for (key, text) in [("a", "red 1"), ("b", "red 2"), ("c", "blue 3")] {
        set(&cache, key, text).await;
    }
    let options = EntryOptions::new().tag("red");
    cache
        .set_with("d", &"green 4".to_owned(), options)
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(exist(&cache, &["a", "b", "c", "d"]).await, [true; 4]);
    }
    cache.invalidate_tags(["red"]).await.unwrap();
    assert_eq!(
        exist(&cache, &["a", "b", "c", "d"]).await,
        [false, false, true, false]
    );
    set(&cache, "a", "red again").await;
    assert_eq!(exist(&cache, &["a"]).await, [true]);
}

pub async fn a_load_that_its_tag_overtakes_is_not_stored(subject: &Subject) {
    let cache = tagged(subject.stay());
    for warm in [false, true] {
        if warm {
            set(&cache, "other", "red other").await;
        }
        let gate = Gate::closed();
        let load = cache.get_or_load("key", gate.loader(Ok("red old".to_owned())));
        let between = async {
            gate.started().await;
            cache.invalidate_tags(["red"]).await.unwrap();
            let later = cache.get_or_load("key", || async {
                Ok::<_, io::Error>("blue new".to_owned())
            });
            // Who asks after the invalidation does not get the value of before. Elsewhere a load
            // of before would still have to be waited for: it is, here, once it can end.
            gate.open();
            assert_ne!(later.await.unwrap(), "red old");
        };
        assert_eq!(tokio::join!(load, between).0.unwrap(), "red old");
        let kept = cache.get("key").await.unwrap();
        assert_ne!(kept.as_deref(), Some("red old"));
        cache.remove("key").await.unwrap();
    }
}

pub async fn clear_takes_every_entry(subject: &Subject) {
    let cache = tagged(subject.stay());
    let other: Cache<u32> = subject.stay().cache("other").build().unwrap();
    other.set("a", &1).await.unwrap();
    for key in ["a", "b"] {
        set(&cache, key, "red").await;
    }
    cache.clear().await.unwrap();
    assert_eq!(exist(&cache, &["a", "b"]).await, [false; 2]);
    assert_eq!(other.get("a").await.unwrap(), Some(1));
    set(&cache, "a", "red").await;
    assert_eq!(exist(&cache, &["a"]).await, [true]);
}

pub async fn a_tag_of_another_process_takes_entries_within_the_bound(subject: &Subject) {
    let name = "a_tag_of_another_process_takes_entries_within_the_bound";
    let Some(other) = subject.other_process().await else {
        return subject.skip(name, "memory belongs to one process");
    };
    let (ours, theirs) = (tagged(subject.stay()), tagged(&other));
    for _ in 0..5 {
        set(&ours, "key", "red").await;
        for _ in 0..2 {
            assert_eq!(exist(&ours, &["key"]).await, [true]);
        }
        theirs.invalidate_tags(["red"]).await.unwrap();
        eventually("no value", ms(2_000), async || {
            match exist(&ours, &["key"]).await[..] {
                [false] => Ok(()),
                _ => Err("still there".to_owned()),
            }
        })
        .await;
    }
}

pub async fn tags_are_checked_before_anything_is_sent(subject: &Subject) {
    let cache = tagged(subject.stay());
    set(&cache, "a", "a:b{c}%").await;
    let error = cache.invalidate_tags(["a:b{c}%", ""]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(exist(&cache, &["a"]).await, [true]);
    cache.invalidate_tags(["a:b{c}%"]).await.unwrap();
    assert_eq!(exist(&cache, &["a"]).await, [false]);
    let many = (0..64).fold(EntryOptions::new(), |o, n| o.tag(n.to_string()));
    let refused = cache
        .set_with("a", &"x".to_owned(), many)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let plain = subject
        .stay()
        .cache::<u32>("plain")
        .plain("p:")
        .build()
        .unwrap();
    let refused = plain.invalidate_tags(["x"]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
