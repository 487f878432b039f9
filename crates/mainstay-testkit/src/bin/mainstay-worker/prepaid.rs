//! A process that pays ahead.

use std::num::NonZeroU32;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::clock::{Clock, SystemClock};
use mainstay::ratelimit::{Policy, RetryAfter};
use serde_json::json;

use super::clock::since_boot_micros;
use super::{Outcome, print};

/// How much of its time is told in one line.
const LINE: Duration = Duration::from_millis(1);

/// Asks as fast as it can, and tells how many were admitted in each millisecond, by the machine's clock.
pub(super) async fn run(
    url: &str,
    policy: &str,
    subject: &str,
    seconds: &str,
    nodes: &str,
) -> Outcome {
    let stay = Mainstay::connect(url).await?;
    let lease = Duration::from_millis(50);
    let nodes: NonZeroU32 = nodes.parse()?;
    let limiter = stay
        .limiter(policy.parse::<Policy>()?)
        .prepaid(nodes, lease)?;
    print(&json!({"portion": limiter.portion()}))?;
    let clock = SystemClock;
    let end = clock.now().after(Duration::from_secs(seconds.parse()?));
    let (mut admitted, mut asked, mut since) = (0_u64, 0_u64, clock.now());
    let mut first = None;
    while clock.now() < end {
        let decision = limiter.check(subject).await?;
        asked += 1;
        if decision.is_allowed() {
            // The earliest of a line stands for all of it.
            first.get_or_insert(since_boot_micros()?);
            admitted += 1;
        }
        if let Some(at) = first
            && (clock.now().since(since) >= LINE || !decision.is_allowed())
        {
            print(&json!({"at": at, "admitted": admitted, "asked": asked}))?;
            (admitted, asked, since, first) = (0, 0, clock.now(), None);
        }
        if let Some(RetryAfter::After(wait)) = decision.retry_after() {
            clock.sleep_until(clock.now().after(wait.min(LINE))).await;
        }
    }
    print(&json!({"asked": asked}))?;
    Ok(())
}
