//! A limit decision beside the raw `EVALSHA` of the same script.

use std::time::Duration;

use mainstay::Mainstay;
use mainstay::ratelimit::Policy;
use mainstay_testkit::fixture::{Flavor, Server};

use super::connection::{bare, load, send};
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

const SCRIPT: &str = concat!(
    include_str!("../../../crates/mainstay/src/backend/redis/lua/limit_clock.lua"),
    include_str!("../../../crates/mainstay/src/backend/redis/lua/limit_window.lua"),
    include_str!("../../../crates/mainstay/src/backend/redis/lua/limit_take.lua"),
);
const LIMIT: u64 = 1_000_000_000;

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await?;
    let limiter = stay.limiter(Policy::window("api", LIMIT, Duration::from_secs(60))?);
    let mut connection = bare(&server.url()).await?;
    let digest = load(&mut connection, SCRIPT).await?;
    let contestants = [
        Contestant::new("mainstay limiter.check", move |caller| {
            let limiter = limiter.clone();
            async move {
                let decision = limiter.check(&format!("subject-{caller}")).await?;
                assert!(decision.is_allowed(), "the limit is out of reach");
                Ok(())
            }
        }),
        Contestant::new("redis-rs EVALSHA", move |caller| {
            let (connection, digest) = (connection.clone(), digest.clone());
            async move {
                let mut command = redis::cmd("EVALSHA");
                command.arg(digest).arg(1).arg(format!("raw-{caller}"));
                command.arg(1).arg("window").arg(LIMIT).arg(1_000_000);
                command.arg(0).arg(0).arg(1);
                send(connection, &command).await
            }
        }),
    ];
    let mut rows = Vec::new();
    for callers in [1, 64] {
        rows.extend(compare(plan, "check", callers, &contestants).await?);
    }
    Ok(rows)
}
