//! A cache hit on Redis beside a bare `GET` of the client library.

use std::time::Duration;

use bytes::Bytes;
use mainstay::Mainstay;
use mainstay::codec::Raw;
use mainstay_testkit::fixture::{Flavor, Server};

use super::{bare, send};
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

pub async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await?;
    let cache = stay
        .cache::<Bytes>("bench")
        .codec(Raw)
        .ttl(Duration::from_secs(3600))
        .build()?;
    cache.set("hot", &Bytes::from(vec![b'x'; 100])).await?;
    let connection = bare(&server.url()).await?;
    let contestants = [
        Contestant::new("mainstay cache.get", move |_| {
            let cache = cache.clone();
            async move {
                cache.get("hot").await?;
                Ok(())
            }
        }),
        Contestant::new("redis-rs GET", move |_| {
            let connection = connection.clone();
            async move { send(connection, redis::cmd("GET").arg("cache:bench:hot")).await }
        }),
    ];
    let mut rows = Vec::new();
    for callers in [1, 64, 512] {
        rows.extend(compare(plan, "get", callers, &contestants).await?);
    }
    Ok(rows)
}
