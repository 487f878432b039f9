//! A hit in the memory backend beside a raw `quick_cache`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay::Mainstay;
use mainstay::codec::Raw;

use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

const BATCH: u32 = 1_000;

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let value = Bytes::from(vec![b'x'; 100]);
    let cache = Mainstay::memory()
        .cache::<Bytes>("bench")
        .codec(Raw)
        .ttl(Duration::from_secs(3600))
        .build()?;
    let key = mainstay::Key::new("hot")?;
    cache.set(&key, &value).await?;
    let raw = Arc::new(quick_cache::sync::Cache::<String, Bytes>::new(1_000));
    raw.insert("hot".to_owned(), value);
    // A call does 1,000 hits: a single one is shorter than reading the clock.
    let contestants = [
        Contestant::new("mainstay memory x1000", move |_| {
            let (cache, key) = (cache.clone(), key.clone());
            async move {
                for _ in 0..BATCH {
                    std::hint::black_box(cache.get(&key).await?);
                }
                Ok(())
            }
        }),
        Contestant::new("quick_cache x1000", move |_| {
            let raw = Arc::clone(&raw);
            async move {
                for _ in 0..BATCH {
                    std::hint::black_box(raw.get("hot"));
                }
                Ok(())
            }
        }),
    ];
    compare(plan, "hit", 2, &contestants).await
}
