use futures_util::FutureExt;

use super::*;
use crate::clock::ManualClock;
use crate::key::{Key, Keyspace, Name};

fn cache() -> (MemoryCache, ManualClock) {
    let clock = ManualClock::new();
    (MemoryCache::new(Arc::new(clock.clone())), clock)
}

fn key(text: &str) -> StoreKey {
    Keyspace::default().cache(&Name::new("c").unwrap(), &Key::new(text).unwrap())
}

fn minute() -> Ttl {
    Ttl::new(Duration::from_mins(1)).unwrap()
}

#[test]
fn a_read_does_not_wait_for_a_writer() {
    let (cache, _) = cache();
    let key = key("k");
    let put = cache.put(&key, Bytes::from_static(b"v"), minute());
    put.now_or_never().unwrap().unwrap();
    let _writer = cache.stripe(&key);
    let got = cache.get(&key).now_or_never().unwrap().unwrap();
    assert_eq!(got.as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn an_expired_entry_is_dropped_by_who_looks_for_it() {
    let (cache, clock) = cache();
    cache.put(&key("k"), Bytes::new(), minute()).await.unwrap();
    clock.advance(Duration::from_mins(1));
    assert_eq!(cache.entries.len(), 1);
    assert_eq!(cache.get(&key("k")).await.unwrap(), None);
    assert_eq!(cache.entries.len(), 0);
}

#[tokio::test]
async fn a_tag_is_not_made_by_a_load_that_an_invalidation_has_overtaken() {
    let (cache, _) = cache();
    let (counter, tag) = (key("counter"), key("tag"));
    let seen_by_load = cache.watermark(&counter).await.unwrap();
    cache.invalidate_tag(&counter, &tag).await.unwrap();
    let make = async |watermark| cache.create_tag(&counter, &tag, watermark, minute()).await;
    assert_eq!(make(seen_by_load).await.unwrap(), None);
    let later = cache.watermark(&counter).await.unwrap();
    assert!(seen_by_load < later);
    assert_eq!(make(later).await.unwrap(), Some(later));
    assert_eq!(make(seen_by_load).await.unwrap(), Some(later));
}

#[tokio::test]
async fn entries_stay_below_the_capacity() {
    let (cache, _) = cache();
    let megabyte = Bytes::from(vec![0; 1024 * 1024]);
    for number in 0..1_000 {
        let key = key(&number.to_string());
        cache.put(&key, megabyte.clone(), minute()).await.unwrap();
    }
    assert!(cache.entries.weight() <= CAPACITY_BYTES);
    assert!(cache.entries.len() > 200, "{} entries", cache.entries.len());
}

#[tokio::test]
async fn the_largest_value_is_kept_and_a_larger_one_is_refused() {
    let (cache, _) = cache();
    let largest = Bytes::from(vec![0; LARGEST_BYTES]);
    let larger = Bytes::from(vec![0; LARGEST_BYTES + 1]);
    cache.put(&key("k"), largest, minute()).await.unwrap();
    let refused = cache.put(&key("k"), larger, minute()).await.unwrap_err();
    assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
    let kept = cache.get(&key("k")).await.unwrap();
    assert_eq!(kept.map(|value| value.len()), Some(LARGEST_BYTES));
}
