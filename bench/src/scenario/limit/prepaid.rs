//! A decision by units that the process has drawn ahead, beside governor, which counts for its process
//! alone.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{Quota, RateLimiter};
use mainstay::Mainstay;
use mainstay::ratelimit::Policy;
use mainstay_testkit::fixture::{Flavor, Server};

use super::LIMIT;
use super::exact::callers;
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

pub(super) const NODES: u32 = 4;
pub(super) const LEASE: Duration = Duration::from_millis(50);

/// A single decision is hardly longer than reading the clock.
const BATCH: u32 = 1_000;

pub(super) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Arc::new(Server::start(Flavor::Redis).await);
    let mut rows = Vec::new();
    for (case, names, batch) in [
        (
            "prepaid",
            ["mainstay prepaid x1000", "governor x1000"],
            BATCH,
        ),
        // With the time that it takes to read the clock twice.
        ("prepaid, single", ["mainstay prepaid", "governor"], 1),
    ] {
        let contestants = [
            prepaid(&server, names[0], batch).await?,
            governor(names[1], batch),
        ];
        rows.extend(compare(plan, case, 1, &contestants).await?);
    }
    Ok(rows)
}

async fn prepaid(server: &Arc<Server>, name: &'static str, batch: u32) -> Outcome<Contestant> {
    let stay = Mainstay::connect(&server.url()).await?;
    let nodes = NonZeroU32::new(NODES).ok_or("no nodes")?;
    let policy = Policy::window("p", LIMIT, Duration::from_secs(1))?;
    let prepaid = stay.limiter(policy).prepaid(nodes, LEASE)?;
    Ok(callers(name, server, batch, move |caller| {
        let prepaid = prepaid.clone();
        async move {
            let subject = format!("subject-{caller}");
            for _ in 0..batch {
                let decision = prepaid.check(subject.as_str()).await?;
                assert!(decision.is_allowed(), "the limit is out of reach");
            }
            Ok(())
        }
    }))
}

fn governor(name: &'static str, batch: u32) -> Contestant {
    let most = NonZeroU32::new(LIMIT as u32).expect("not zero");
    let governor = Arc::new(RateLimiter::keyed(Quota::per_second(most)));
    Contestant::new(name, move |caller| {
        let governor = Arc::clone(&governor);
        async move {
            let subject = format!("subject-{caller}");
            for _ in 0..batch {
                governor
                    .check_key(&subject)
                    .map_err(|_| "the limit is out of reach")?;
            }
            Ok(())
        }
    })
}
