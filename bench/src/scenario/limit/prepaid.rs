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
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

/// A single decision is shorter than reading the clock.
const BATCH: u32 = 1_000;

pub(super) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await?;
    let four = NonZeroU32::new(4).expect("not zero");
    let policy = Policy::window("p", LIMIT, Duration::from_secs(1))?;
    let prepaid = stay
        .limiter(policy)
        .prepaid(four, Duration::from_millis(50))?;
    let most = NonZeroU32::new(LIMIT as u32).expect("not zero");
    let governor = Arc::new(RateLimiter::keyed(Quota::per_second(most)));
    let contestants = [
        Contestant::new("mainstay prepaid x1000", move |caller| {
            let prepaid = prepaid.clone();
            async move {
                let subject = format!("subject-{caller}");
                for _ in 0..BATCH {
                    let decision = prepaid.check(subject.as_str()).await?;
                    assert!(decision.is_allowed(), "the limit is out of reach");
                }
                Ok(())
            }
        }),
        Contestant::new("governor x1000", move |caller| {
            let governor = Arc::clone(&governor);
            async move {
                let subject = format!("subject-{caller}");
                for _ in 0..BATCH {
                    governor
                        .check_key(&subject)
                        .map_err(|_| "the limit is out of reach")?;
                }
                Ok(())
            }
        }),
    ];
    compare(plan, "prepaid", 1, &contestants).await
}
