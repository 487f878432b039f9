//! A hit in the process: the near cache beside maps that know no other process.
//!
//! Every contestant finds a value of 100 bytes by a `&str`. Of them, mainstay's near cache and the
//! Redis client's own learn of a write elsewhere; the maps are what a hit could cost at best.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_testkit::fixture::{Flavor, Server};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use super::connection;
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

/// A call does 1,000 hits: a single one is shorter than reading the clock.
const BATCH: usize = 1_000;
const KEYS: usize = 10_000;
/// So many more than there are keys that none is evicted.
const CAPACITY: usize = 4 * KEYS;
const SEED: u64 = 7;

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let mut many: Vec<String> = (0..KEYS).map(|key| format!("user-{key}")).collect();
    many.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    let one = vec!["user-0".to_owned()];
    let mut rows = Vec::new();
    for (case, keys) in [("1 key x1000", one), ("10,000 keys x1000", many)] {
        let server = Server::start(Flavor::Redis).await;
        let contestants = contestants(&server, &Arc::new(keys)).await?;
        for threads in [1, 2] {
            rows.extend(compare(plan, case, threads, &contestants).await?);
        }
    }
    Ok(rows)
}

async fn contestants(server: &Server, keys: &Arc<Vec<String>>) -> Outcome<Vec<Contestant>> {
    let value = Bytes::from(vec![b'x'; 100]);
    let quick = quick_cache::sync::Cache::<String, Bytes>::new(CAPACITY);
    let moka_sync = moka::sync::Cache::<String, Bytes>::new(CAPACITY as u64);
    let moka_future = moka::future::Cache::<String, Bytes>::new(CAPACITY as u64);
    let foyer: foyer_memory::Cache<String, Bytes> =
        foyer_memory::CacheBuilder::new(CAPACITY).build();
    let client = connection::with_client_cache(&server.url(), CAPACITY).await?;
    for key in keys.iter() {
        quick.insert(key.clone(), value.clone());
        moka_sync.insert(key.clone(), value.clone());
        moka_future.insert(key.clone(), value.clone()).await;
        foyer.insert(key.clone(), value.clone());
        connection::set(&client, key, &value).await?;
        connection::get(&client, key).await?;
    }

    let mut contestants = Vec::new();
    {
        let stay = mainstay::Mainstay::connect(&server.url()).await?;
        let cache = crate::near::raw(&stay, "bench")?;
        for key in keys.iter() {
            cache.set(key, &value).await?;
            cache.get(key).await?;
        }
        contestants.push(hits("mainstay near", keys, async move |key: &str| {
            Ok(std::hint::black_box(cache.get(key).await?).is_some())
        }));
    }
    contestants.extend([
        hits("redis-rs client cache", keys, async move |key: &str| {
            let value = connection::get(&client, key).await?;
            Ok(std::hint::black_box(value).is_some())
        }),
        hits("moka future", keys, async move |key: &str| {
            Ok(std::hint::black_box(moka_future.get(key).await).is_some())
        }),
        hits("moka sync", keys, async move |key: &str| {
            Ok(std::hint::black_box(moka_sync.get(key)).is_some())
        }),
        hits("foyer memory", keys, async move |key: &str| {
            Ok(std::hint::black_box(foyer.get(key)).is_some())
        }),
        hits("quick_cache", keys, async move |key: &str| {
            Ok(std::hint::black_box(quick.get(key)).is_some())
        }),
    ]);
    Ok(contestants)
}

/// Reads the keys in their order, each thread from another place on.
fn hits(
    name: &'static str,
    keys: &Arc<Vec<String>>,
    get: impl AsyncFn(&str) -> Outcome<bool> + Send + Sync + 'static,
) -> Contestant {
    let keys = Arc::clone(keys);
    Contestant::on_threads(name, async move |caller, call| {
        let first = caller * keys.len() / 2 + call * BATCH;
        for index in first..first + BATCH {
            let key = &keys[index % keys.len()];
            if !get(key).await? {
                return Err(format!("{name} has no {key}").into());
            }
        }
        Ok(())
    })
}
