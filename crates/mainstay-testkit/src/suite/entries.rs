//! What entries are made of, and how long they live.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use mainstay::ErrorKind;
use mainstay::cache::{Acquire, Cache, EntryOptions, Fill, Lookup};
use mainstay::codec::{MessagePack, Raw};

use super::loading::Gate;
use super::{Subject, ms};

fn numbers(subject: &Subject) -> Cache<u32> {
    subject.stay().cache("numbers").build().unwrap()
}

pub async fn a_known_miss_is_remembered_for_its_own_ttl(subject: &Subject) {
    let cache = subject.stay().cache::<u32>("numbers").negative_ttl(ms(60));
    let cache = cache.build().unwrap();
    let gate = Gate::closed();
    gate.open();
    assert_eq!(cache.lookup("key").await.unwrap(), Lookup::Miss);
    for _ in 0..2 {
        let none = cache
            .get_or_load_optional("key", gate.loader(Ok(None::<u32>)))
            .await;
        assert_eq!(none.unwrap(), None);
    }
    assert_eq!(gate.count(), 1);
    assert!(matches!(
        cache.lookup("key").await.unwrap(),
        Lookup::Negative(_)
    ));
    subject.advance(ms(80)).await;
    assert_eq!(cache.lookup("key").await.unwrap(), Lookup::Miss);
    let value = cache
        .get_or_load_optional("key", gate.loader(Ok(Some(7))))
        .await;
    assert_eq!(value.unwrap(), Some(7));
}

pub async fn who_wants_a_value_loads_past_a_known_miss(subject: &Subject) {
    let cache = numbers(subject);
    let none = || async { Ok::<Option<u32>, io::Error>(None) };
    assert_eq!(cache.get_or_load_optional("key", none).await.unwrap(), None);
    let load = || async { Ok::<_, io::Error>(7) };
    assert_eq!(cache.get_or_load("key", load).await.unwrap(), 7);
    assert_eq!(cache.get("key").await.unwrap(), Some(7));
}

pub async fn everybody_is_told_of_a_failed_load_for_the_error_ttl(subject: &Subject) {
    let cache = subject.stay().cache::<u32>("numbers").error_ttl(ms(80));
    let cache = cache.build().unwrap();
    let gate = Gate::closed();
    gate.open();
    for _ in 0..3 {
        let failed = cache
            .get_or_load("key", gate.loader(Err("no source")))
            .await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Loader);
    }
    assert_eq!(gate.count(), 1);
    subject.advance(ms(1_100)).await;
    assert_eq!(
        cache.get_or_load("key", gate.loader(Ok(7))).await.unwrap(),
        7
    );
}

pub async fn a_load_that_takes_too_long_fails(subject: &Subject) {
    let cache = subject.stay().cache::<u32>("numbers").load_timeout(ms(50));
    let cache = cache.build().unwrap();
    let gate = Gate::closed();
    let slow = cache.get_or_load("key", gate.loader(Ok(7)));
    let error = subject.elapse(slow).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
    assert!(
        error.to_string().contains("took longer than 50ms"),
        "{error}"
    );
}

pub async fn a_refresh_replaces_a_fresh_value(subject: &Subject) {
    let cache = numbers(subject);
    cache.set("key", &1).await.unwrap();
    let load = || async { Ok::<_, io::Error>(2) };
    assert_eq!(cache.refresh("key", load).await.unwrap(), 2);
    assert_eq!(cache.get("key").await.unwrap(), Some(2));
}

pub async fn a_ttl_may_come_from_the_value(subject: &Subject) {
    let cache = subject
        .stay()
        .cache::<u32>("numbers")
        .ttl_by(|n| ms((*n).into()));
    let cache = cache.build().unwrap();
    for value in [50, 60_000] {
        cache.set(&value.to_string(), &value).await.unwrap();
    }
    subject.advance(ms(70)).await;
    assert_eq!(cache.get("50").await.unwrap(), None);
    assert_eq!(cache.get("60000").await.unwrap(), Some(60_000));
}

pub async fn an_entry_with_a_sliding_ttl_stays_while_it_is_read(subject: &Subject) {
    let cache = subject
        .stay()
        .cache::<u32>("numbers")
        .ttl(ms(300))
        .sliding();
    let cache = cache.build().unwrap();
    cache.set("used", &1).await.unwrap();
    cache.set("unused", &2).await.unwrap();
    for _ in 0..6 {
        subject.advance(ms(100)).await;
        assert_eq!(cache.get("used").await.unwrap(), Some(1));
    }
    assert_eq!(cache.get("unused").await.unwrap(), None);
}

pub async fn a_value_that_is_too_large_is_returned_and_not_stored(subject: &Subject) {
    let cache = subject.stay().cache::<String>("texts").max_entry_bytes(100);
    let cache = cache.build().unwrap();
    let load = || async { Ok::<_, io::Error>("x".repeat(200)) };
    assert_eq!(cache.get_or_load("key", load).await.unwrap().len(), 200);
    assert_eq!(cache.get("key").await.unwrap(), None);
    let refused = cache.set("key", &"x".repeat(200)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

pub async fn a_compressed_value_comes_back_whole(subject: &Subject) {
    let cache = subject.stay().cache::<String>("texts").compress_above(100);
    let cache = cache.codec(MessagePack).build().unwrap();
    for text in ["short".to_owned(), "long ".repeat(10_000)] {
        cache.set("key", &text).await.unwrap();
        assert_eq!(cache.get("key").await.unwrap(), Some(text));
    }
}

pub async fn the_highest_schema_wins(subject: &Subject) {
    let build = |schema| {
        let cache = subject.stay().cache::<u32>("numbers").schema(schema);
        cache.build().unwrap()
    };
    let (old, new) = (build(1), build(2));
    let load = |value: u32| move || async move { Ok::<_, io::Error>(value) };
    assert_eq!(old.get_or_load("key", load(1)).await.unwrap(), 1);
    for _ in 0..3 {
        assert_eq!(new.get_or_load("key", load(2)).await.unwrap(), 2);
        assert_eq!(old.get_or_load("key", load(3)).await.unwrap(), 3);
    }
    assert_eq!((new.stats().loads, old.stats().loads), (1, 4));
}

pub async fn missing_keys_are_loaded_by_one_call(subject: &Subject) {
    let cache = numbers(subject);
    cache.set("2", &2).await.unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let load = {
        let calls = Arc::clone(&calls);
        move |keys: Vec<&'static str>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                keys.into_iter()
                    .map(str::parse)
                    .collect::<Result<Vec<u32>, _>>()
            }
        }
    };
    let keys = ["1", "2", "3", "1"];
    let loaded = cache.get_or_load_many(&keys, load).await.unwrap();
    assert_eq!(loaded, [1, 2, 3, 1]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(
        cache.get_many(&["1", "3"]).await.unwrap(),
        [Some(1), Some(3)]
    );
    let short = |_: Vec<&'static str>| async { Ok::<Vec<u32>, io::Error>(Vec::new()) };
    let error = cache
        .get_or_load_many(&["8", "9"], short)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
}

pub async fn a_lease_that_was_handed_out_ends_with_any_change(subject: &Subject) {
    let cache = numbers(subject);
    let lease = async || match cache.acquire("key", ms(10_000)).await.unwrap() {
        Acquire::Lease(lease) => lease,
        other => panic!("no lease: {other:?}"),
    };
    let fill = async |lease| {
        let options = EntryOptions::new().tag("red");
        cache.fill("key", lease, &1, options).await.unwrap()
    };
    let held = lease().await;
    assert!(matches!(
        cache.acquire("key", ms(10_000)).await.unwrap(),
        Acquire::Wait(_)
    ));
    cache.remove("key").await.unwrap();
    assert_eq!(fill(&held).await, Fill::Superseded);
    let held = lease().await;
    cache.invalidate_tags(["red"]).await.unwrap();
    assert_eq!(fill(&held).await, Fill::Superseded);
    let held = lease().await;
    cache.give_up("key", &held, None).await.unwrap();
    let held = lease().await;
    assert_eq!(fill(&held).await, Fill::Stored);
    assert_eq!(cache.get("key").await.unwrap(), Some(1));
}

pub async fn an_outdated_schema_leases_what_it_cannot_fill(subject: &Subject) {
    let build = |schema| {
        let cache = subject.stay().cache::<u32>("numbers").schema(schema);
        cache.build().unwrap()
    };
    let (old, new) = (build(1), build(2));
    new.set("key", &2).await.unwrap();
    let Acquire::Lease(lease) = old.acquire("key", ms(5_000)).await.unwrap() else {
        panic!("there is nothing that this schema can read");
    };
    let filled = old.fill("key", &lease, &1, EntryOptions::new()).await;
    assert_eq!(filled.unwrap(), Fill::Superseded);
    assert_eq!(new.get("key").await.unwrap(), Some(2));
}

pub async fn a_lease_of_another_layout_is_refused(subject: &Subject) {
    let sealed = numbers(subject);
    let plain = subject.stay().cache::<u32>("numbers").plain("number:");
    let plain = plain.build().unwrap();
    let Acquire::Lease(lease) = plain.acquire("key", ms(5_000)).await.unwrap() else {
        panic!("nobody else loads it");
    };
    let refused = sealed.fill("key", &lease, &1, EntryOptions::new()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    let filled = plain.fill("key", &lease, &1, EntryOptions::new()).await;
    assert_eq!(filled.unwrap(), Fill::Stored);
}

pub async fn an_entry_of_another_codec_is_none(subject: &Subject) {
    let packed = subject.stay().cache::<u8>("numbers").codec(MessagePack);
    let packed = packed.build().unwrap();
    let json = subject.stay().cache::<u8>("numbers").build().unwrap();
    // One byte, which JSON takes for the digit 7.
    packed.set("key", &b'7').await.unwrap();
    assert_eq!(json.get("key").await.unwrap(), None);
    assert_eq!(packed.get("key").await.unwrap(), Some(b'7'));
    let raw = subject.stay().cache::<Bytes>("numbers").codec(Raw);
    let raw = raw.build().unwrap();
    assert_eq!(raw.get("key").await.unwrap().as_deref(), Some(&b"7"[..]));
    raw.set("key", &Bytes::from_static(b"8")).await.unwrap();
    assert_eq!(json.get("key").await.unwrap(), Some(8));
}

pub async fn a_panic_of_the_tags_costs_callers_nothing(subject: &Subject) {
    let cache = subject.stay().cache::<u32>("numbers");
    let cache = cache.tags(|_: &u32| -> [String; 1] { panic!("no tags for this") });
    let cache = cache.build().unwrap();
    let load = || async { Ok::<_, io::Error>(7) };
    for _ in 0..2 {
        // The lease is given back: nobody waits until it is over.
        let loaded = subject.elapse(cache.get_or_load("key", load)).await;
        assert_eq!(loaded.unwrap(), 7);
    }
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.not_stored, stats.waits), (2, 2, 0));
}

pub async fn a_plain_entry_cannot_be_declared_stale(subject: &Subject) {
    let cache = subject.stay().cache::<String>("texts").plain("text:");
    let cache = cache.build().unwrap();
    let text = "long enough for a mark".to_owned();
    cache.set("key", &text).await.unwrap();
    let refused = cache.expire("key").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(cache.get("key").await.unwrap(), Some(text));
}
