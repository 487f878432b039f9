//! Entries past their ttl, within the windows that a cache allows.

use std::io;

use mainstay::cache::{Cache, CacheBuilder, Source, StaleReason};
use mainstay::{ErrorKind, Mainstay};

use super::loading::Gate;
use super::{Subject, ms};
use crate::fixture::eventually;

/// Fresh for 100 ms.
fn brief(stay: &Mainstay) -> CacheBuilder<u32> {
    stay.cache("brief").ttl(ms(100)).no_early_refresh()
}

async fn loads(cache: &Cache<u32>, value: u32) -> u32 {
    let load = move || async move { Ok::<_, io::Error>(value) };
    cache.get_or_load("key", load).await.unwrap()
}

async fn has_new_value(cache: &Cache<u32>) {
    eventually("the new value", Subject::BOUND, async || {
        match cache.get("key").await.unwrap() {
            Some(2) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

pub async fn a_stale_value_is_served_at_once_while_one_load_replaces_it(subject: &Subject) {
    let builder = brief(subject.stay()).stale_while_revalidate(ms(10_000));
    let cache = builder.build().unwrap();
    assert_eq!(loads(&cache, 1).await, 1);
    subject.advance(ms(120)).await;
    assert_eq!(cache.get("key").await.unwrap(), None, "it is not fresh");
    let gate = Gate::closed();
    for _ in 0..3 {
        let fetched = cache.fetch("key", gate.loader(Ok(2))).await.unwrap();
        assert_eq!(fetched.value, 1);
        assert_eq!(fetched.source, Source::Stale(StaleReason::Revalidating));
        assert!(fetched.age >= ms(100));
    }
    gate.started().await;
    assert_eq!(gate.count(), 1);
    gate.open();
    has_new_value(&cache).await;
}

pub async fn a_stale_value_stands_in_for_a_load_that_fails(subject: &Subject) {
    let builder = brief(subject.stay()).stale_if_error(ms(300));
    let cache = builder.build().unwrap();
    assert_eq!(loads(&cache, 1).await, 1);
    subject.advance(ms(120)).await;
    let fails = || async { Err::<u32, _>(io::Error::other("no source")) };
    let fetched = cache.fetch("key", fails).await.unwrap();
    assert_eq!(
        (fetched.value, fetched.source),
        (1, Source::Stale(StaleReason::LoadFailed))
    );
    subject.advance(ms(320)).await;
    let error = cache.fetch("key", fails).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
    assert_eq!(loads(&cache, 2).await, 2);
}

pub async fn a_stale_value_stands_in_for_a_load_that_is_slow(subject: &Subject) {
    let builder = brief(subject.stay()).stale_if_error(ms(10_000));
    let cache = builder.serve_stale_after(ms(20)).build().unwrap();
    assert_eq!(loads(&cache, 1).await, 1);
    subject.advance(ms(120)).await;
    let gate = Gate::closed();
    let slow = cache.fetch("key", gate.loader(Ok(2)));
    let fetched = subject.elapse(slow).await.unwrap();
    assert_eq!(
        (fetched.value, fetched.source),
        (1, Source::Stale(StaleReason::LoadSlow))
    );
    gate.open();
    has_new_value(&cache).await;
}

pub async fn an_entry_that_was_declared_stale_is_served_only_as_such(subject: &Subject) {
    let cache = subject
        .stay()
        .cache::<u32>("long")
        .stale_if_error(ms(60_000));
    let cache = cache.build().unwrap();
    assert!(!cache.expire("key").await.unwrap());
    assert_eq!(loads(&cache, 1).await, 1);
    assert!(cache.expire("key").await.unwrap());
    assert_eq!(cache.get("key").await.unwrap(), None);
    let fails = || async { Err::<u32, _>(io::Error::other("no source")) };
    let fetched = cache.fetch("key", fails).await.unwrap();
    assert_eq!(
        (fetched.value, fetched.source),
        (1, Source::Stale(StaleReason::LoadFailed))
    );
    assert_eq!(loads(&cache, 2).await, 2);
    assert_eq!(cache.get("key").await.unwrap(), Some(2));
}

pub async fn an_entry_ages_alike_for_who_keeps_it_shorter(subject: &Subject) {
    let lenient = brief(subject.stay()).stale_if_error(ms(10_000));
    let lenient = lenient.build().unwrap();
    let strict = brief(subject.stay()).build().unwrap();
    assert_eq!(loads(&lenient, 1).await, 1);
    assert_eq!(strict.get("key").await.unwrap(), Some(1));
    subject.advance(ms(120)).await;
    assert_eq!(
        strict.get("key").await.unwrap(),
        None,
        "it is kept, and not fresh"
    );
    assert_eq!(loads(&strict, 2).await, 2);
}
