//! A cache hit on Redis beside a bare `GET` of the client library and the server's own benchmark.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay::Mainstay;
use mainstay::codec::Raw;
use mainstay_testkit::fixture::{Flavor, Server};

use super::connection;
use super::redis_benchmark::RedisBenchmark;
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

const RAW_KEY: &str = "raw";

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await?;
    let cache = stay
        .cache::<Bytes>("bench")
        .codec(Raw)
        .ttl(Duration::from_secs(3600))
        .build()?;
    let value = Bytes::from(vec![b'x'; 100]);
    cache.set("hot", &value).await?;
    let bare = connection::bare(&server.url()).await?;
    connection::set(&bare, RAW_KEY, &value).await?;
    let benchmark = Arc::new(RedisBenchmark::get(server.port(), RAW_KEY));
    let contestants = [
        Contestant::new("mainstay cache.get", move |_| {
            let cache = cache.clone();
            async move {
                cache.get("hot").await?.ok_or("a miss")?;
                Ok(())
            }
        }),
        Contestant::measured("redis-benchmark -P callers", move |round| {
            let benchmark = Arc::clone(&benchmark);
            async move { benchmark.run(round).await }
        }),
        Contestant::new("redis-rs GET", move |_| {
            let bare = bare.clone();
            async move {
                connection::get(&bare, RAW_KEY).await?.ok_or("a miss")?;
                Ok(())
            }
        }),
    ];
    let mut rows = Vec::new();
    for callers in [1, 64, 512] {
        rows.extend(compare(plan, "hit", callers, &contestants).await?);
    }
    Ok(rows)
}
