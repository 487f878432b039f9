//! Entries, their times, and loads that are shared.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use mainstay::cache::Cache;
use mainstay::{Error, ErrorKind, Mainstay};
use tokio::task::yield_now;

use super::loading::Gate;
use super::{Subject, ms};
use crate::fixture::eventually;

const CALLERS: usize = 100;

fn cache_of(stay: &Mainstay) -> Cache<String> {
    stay.cache("things").build().unwrap()
}

fn text(text: &str) -> String {
    text.to_owned()
}

pub async fn a_value_is_gone_after_its_ttl(subject: &Subject) {
    let cache = subject.stay().cache("things").ttl(ms(250)).build().unwrap();
    cache.set("long", &text("default")).await.unwrap();
    cache
        .set_with_ttl("short", &text("own"), ms(20))
        .await
        .unwrap();
    subject.advance(ms(30)).await;
    assert_eq!(cache.get("short").await.unwrap(), None);
    assert_eq!(cache.get("long").await.unwrap(), Some(text("default")));
    subject.advance(ms(250)).await;
    assert_eq!(cache.get("long").await.unwrap(), None);
    assert_eq!(cache.entry("long").await.unwrap(), None);
}

pub async fn a_set_replaces_the_value_and_its_ttl(subject: &Subject) {
    let cache = cache_of(subject.stay());
    cache
        .set_with_ttl("key", &text("old"), ms(50))
        .await
        .unwrap();
    cache.set("key", &text("new")).await.unwrap();
    subject.advance(ms(60)).await;
    assert_eq!(cache.get("key").await.unwrap(), Some(text("new")));
}

pub async fn a_removed_value_is_gone(subject: &Subject) {
    let cache = cache_of(subject.stay());
    cache.set("key", &text("value")).await.unwrap();
    assert!(cache.remove("key").await.unwrap());
    assert_eq!(cache.get("key").await.unwrap(), None);
    assert!(!cache.remove("key").await.unwrap());
}

pub async fn a_loaded_value_is_served_without_loading_again(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let gate = Gate::closed();
    gate.open();
    for outcome in ["first", "second"] {
        let loaded = cache
            .get_or_load("key", gate.loader(Ok(text(outcome))))
            .await;
        assert_eq!(loaded.unwrap(), "first");
    }
    assert_eq!(cache.get("key").await.unwrap(), Some(text("first")));
    assert_eq!(gate.count(), 1);
}

/// Makes many calls for one key that all wait while the one load is held back.
async fn crowd<F, G>(cache: &Cache<String>, gate: &Gate, loader: G) -> Vec<Result<String, Error>>
where
    F: FnOnce() -> super::loading::Loading<String> + Send + 'static,
    G: Fn() -> F,
{
    let calls = join_all((0..CALLERS).map(|_| cache.get_or_load("key", loader())));
    let opening = async {
        gate.started().await;
        // Every caller has been polled by then, and is polled once more.
        yield_now().await;
        gate.open();
    };
    tokio::join!(calls, opening).0
}

pub async fn a_hundred_callers_share_one_load(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let gate = Gate::closed();
    let outcomes = crowd(&cache, &gate, || gate.loader(Ok(text("value")))).await;
    assert_eq!(outcomes.len(), CALLERS);
    for outcome in outcomes {
        assert_eq!(outcome.unwrap(), "value");
    }
    assert_eq!(gate.count(), 1);
}

pub async fn a_loader_error_reaches_every_waiter_once(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let gate = Gate::closed();
    let outcomes = crowd(&cache, &gate, || gate.loader(Err("disk on fire"))).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Loader);
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("disk on fire"));
    }
    assert_eq!(gate.count(), 1);
    let again = cache
        .get_or_load("key", gate.loader(Ok(text("value"))))
        .await;
    assert_eq!(again.unwrap(), "value");
    assert_eq!(gate.count(), 2);
}

pub async fn a_loader_panic_reaches_every_waiter_once(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let gate = Gate::closed();
    let loader = || {
        let load = gate.loader(Ok(text("never")));
        move || -> super::loading::Loading<String> {
            let held_back = load();
            Box::pin(async move {
                held_back.await?;
                panic!("a loader that panics on purpose")
            })
        }
    };
    let outcomes = crowd(&cache, &gate, loader).await;
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Loader);
    }
    assert_eq!(gate.count(), 1);
    let again = cache
        .get_or_load("key", gate.loader(Ok(text("value"))))
        .await;
    assert_eq!(again.unwrap(), "value");
}

pub async fn a_dropped_caller_does_not_end_the_load(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let gate = Gate::closed();
    let call = cache.get_or_load("key", gate.loader(Ok(text("value"))));
    tokio::select! {
        outcome = call => panic!("the load is held back: {outcome:?}"),
        () = gate.started() => {}
    }
    gate.open();
    eventually(
        "the value of the abandoned load",
        Subject::BOUND,
        async || match cache.get("key").await.unwrap() {
            Some(value) if value == "value" => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    assert_eq!(gate.count(), 1);
}

/// Starts a load of `"old"`, runs `meanwhile`, lets the load end, and returns what it gave.
async fn load_around(
    cache: &Cache<String>,
    meanwhile: impl Future<Output = ()>,
) -> Result<String, Error> {
    let gate = Gate::closed();
    let call = cache.get_or_load("key", gate.loader(Ok(text("old"))));
    let between = async {
        gate.started().await;
        meanwhile.await;
        gate.open();
    };
    tokio::join!(call, between).0
}

pub async fn a_load_that_ends_after_a_remove_is_not_stored(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let remove = async {
        cache.remove("key").await.unwrap();
    };
    assert_eq!(load_around(&cache, remove).await.unwrap(), "old");
    assert_eq!(cache.get("key").await.unwrap(), None);
}

pub async fn a_load_that_ends_after_a_set_is_not_stored(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let set = async { cache.set("key", &text("new")).await.unwrap() };
    load_around(&cache, set).await.unwrap();
    assert_eq!(cache.get("key").await.unwrap(), Some(text("new")));
}

pub async fn a_load_from_before_a_remove_is_not_given_to_later_callers(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let later = async {
        cache.remove("key").await.unwrap();
        let load = async || Ok::<_, io::Error>(text("new"));
        let later = cache.get_or_load("key", load).await;
        assert_eq!(later.unwrap(), "new");
    };
    load_around(&cache, later).await.unwrap();
    assert_eq!(cache.get("key").await.unwrap(), Some(text("new")));
}

pub async fn a_load_of_another_process_is_waited_for(subject: &Subject) {
    let name = "a_load_of_another_process_is_waited_for";
    let Some(other) = subject.other_process().await else {
        return subject.skip(name, "memory belongs to one process");
    };
    let (ours, theirs) = (cache_of(subject.stay()), cache_of(&other));
    let gate = Gate::closed();
    let waiting = async {
        gate.started().await;
        let never = async || Err::<String, _>(io::Error::other("it is loaded elsewhere"));
        let waited = theirs.get_or_load("key", never);
        let opening = async {
            eventually("a wait", Subject::BOUND, async || {
                match theirs.stats().waits {
                    0 => Err("none".to_owned()),
                    _ => Ok(()),
                }
            })
            .await;
            gate.open();
        };
        tokio::join!(waited, opening).0
    };
    let loading = ours.get_or_load("key", gate.loader(Ok(text("ours"))));
    let (ours, theirs) = tokio::join!(loading, waiting);
    assert_eq!(
        (ours.unwrap(), theirs.unwrap()),
        (text("ours"), text("ours"))
    );
    assert_eq!(gate.count(), 1);
}

pub async fn an_undecodable_value_is_a_miss_and_replaced(subject: &Subject) {
    cache_of(subject.stay())
        .set("key", &text("no number"))
        .await
        .unwrap();
    let numbers: Cache<u32> = subject.stay().cache("things").build().unwrap();
    assert_eq!(numbers.get("key").await.unwrap(), None);
    assert_eq!(numbers.entry("key").await.unwrap(), None);
    let loads = Arc::new(AtomicU32::new(0));
    for _ in 0..2 {
        let loads = Arc::clone(&loads);
        let load =
            move || async move { Ok::<_, io::Error>(loads.fetch_add(1, Ordering::SeqCst) + 7) };
        assert_eq!(numbers.get_or_load("key", load).await.unwrap(), 7);
    }
    assert_eq!(numbers.get("key").await.unwrap(), Some(7));
}

pub async fn an_entry_tells_its_age_and_the_time_it_has_left(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let ttl = ms(60_000);
    cache
        .set_with_ttl("key", &text("value"), ttl)
        .await
        .unwrap();
    subject.advance(ms(40)).await;
    let entry = cache.entry("key").await.unwrap().unwrap();
    assert_eq!(entry.value, "value");
    // Servers count whole milliseconds.
    assert!(entry.age >= ms(38), "{entry:?}");
    assert!(
        entry.ttl_left <= ttl.saturating_sub(ms(38)) && entry.ttl_left > ttl / 2,
        "{entry:?}"
    );
    let total = entry.age + entry.ttl_left;
    assert!(
        total >= ttl.saturating_sub(ms(2)) && total <= ttl + ms(2),
        "{entry:?}"
    );
}

pub async fn keys_with_special_characters_do_not_collide(subject: &Subject) {
    let cache = cache_of(subject.stay());
    let keys = [
        "a", "A", "a:b", "a%3Ab", "a%b", "{a}", "{a}:b", "a b", "ä", "a*", "[a]", "a/b", "'a\"",
        "🦀",
    ];
    for key in keys {
        cache.set(key, &text(key)).await.unwrap();
    }
    for key in keys {
        assert_eq!(cache.get(key).await.unwrap(), Some(text(key)));
    }
    let parts = mainstay::key!["a", "b"].unwrap();
    assert_eq!(cache.get(&parts).await.unwrap(), None);
    let refused = cache.get("").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

pub async fn caches_with_different_names_are_apart(subject: &Subject) {
    let others: Cache<String> = subject.stay().cache("others").build().unwrap();
    cache_of(subject.stay())
        .set("key", &text("value"))
        .await
        .unwrap();
    assert_eq!(others.get("key").await.unwrap(), None);
    assert!(!others.remove("key").await.unwrap());
}

pub async fn namespaces_are_apart(subject: &Subject) {
    let (Some(left), Some(right)) = (subject.under("left").await, subject.under("right").await)
    else {
        return subject.skip(
            "namespaces_are_apart",
            "every memory client has its own memory",
        );
    };
    cache_of(&left).set("key", &text("left")).await.unwrap();
    assert_eq!(cache_of(&right).get("key").await.unwrap(), None);
    cache_of(&right).set("key", &text("right")).await.unwrap();
    assert!(cache_of(&right).remove("key").await.unwrap());
    assert_eq!(
        cache_of(&left).get("key").await.unwrap(),
        Some(text("left"))
    );
}
