//! Uncontended acquire and release beside two raw `EVALSHA`s of the same scripts.

use std::time::Duration;

use mainstay::Mainstay;
use mainstay::lock::Acquire;
use mainstay_testkit::fixture::{Flavor, Server};

use super::connection::{bare, load, send};
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

const ACQUIRE: &str =
    include_str!("../../../crates/mainstay/src/backend/redis/lua/lock_acquire.lua");
const RELEASE: &str =
    include_str!("../../../crates/mainstay/src/backend/redis/lua/lock_release.lua");
const WEEK_MS: u64 = 7 * 24 * 3_600_000;

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await?;
    let mut connection = bare(&server.url()).await?;
    let acquire = load(&mut connection, ACQUIRE).await?;
    let release = load(&mut connection, RELEASE).await?;
    let contestants = [
        Contestant::new("mainstay acquire+release", move |caller| {
            let stay = stay.clone();
            async move {
                let lock = stay
                    .lock(&format!("ours-{caller}"))
                    .ttl(Duration::from_secs(30))
                    .build()?;
                match lock.try_acquire().await? {
                    Acquire::Acquired(guard) => guard.release().await?,
                    Acquire::Held { .. } => return Err("an uncontended lock was held".into()),
                };
                Ok(())
            }
        }),
        Contestant::new("redis-rs 2 x EVALSHA", move |caller| {
            let connection = connection.clone();
            let (acquire, release) = (acquire.clone(), release.clone());
            async move {
                let (key, hash) = (format!("raw-{caller}"), format!("{{raw-{caller}}}:f"));
                let mut first = redis::cmd("EVALSHA");
                first.arg(acquire).arg(2).arg(&key).arg(&hash);
                first.arg("token").arg(30_000).arg("bench").arg(WEEK_MS);
                send(connection.clone(), &first).await?;
                let mut second = redis::cmd("EVALSHA");
                second.arg(release).arg(2).arg(&key).arg(&hash);
                second.arg("token").arg(format!("{{{key}}}:w")).arg(WEEK_MS);
                send(connection, &second).await
            }
        }),
    ];
    let mut rows = Vec::new();
    for callers in [1, 8, 64] {
        rows.extend(compare(plan, "uncontended", callers, &contestants).await?);
    }
    Ok(rows)
}
