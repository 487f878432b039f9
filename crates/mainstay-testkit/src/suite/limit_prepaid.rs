//! Limits that are paid ahead.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::poll;
use mainstay::ErrorKind;
use mainstay::ratelimit::{Limiter, Policy, PrepaidLimiter, RetryAfter, Source, WhenDown};

use super::{Subject, ms};
use crate::fixture::eventually;

const WHO: &str = "ada";
const HOUR: Duration = Duration::from_secs(3600);
const PAID_FOR: Duration = ms(300);

fn prepaid(subject: &Subject, limit: u64) -> PrepaidLimiter {
    let policy = Policy::window("ingest", limit, ms(900)).unwrap();
    let nodes = NonZeroU32::new(2).unwrap();
    let limiter = subject.stay().limiter(policy);
    limiter.prepaid(nodes, PAID_FOR).unwrap()
}

pub async fn prepaid_units_of_all_processes_stay_within_the_limit(subject: &Subject) {
    // Each is a process of its own as far as it knows.
    let nodes = [prepaid(subject, 80), prepaid(subject, 80)];
    assert_eq!(nodes[0].portion(), 10);
    let mut admitted = [0, 0];
    let mut local = 0;
    while admitted.iter().sum::<u64>() < 80 {
        for (node, admitted) in nodes.iter().zip(&mut admitted) {
            let decision = node.check(WHO).await.unwrap();
            *admitted += u64::from(decision.is_allowed());
            local += u64::from(decision.source() == Source::Lease);
        }
    }
    assert!(local >= 60, "{local} without the store");
    for node in &nodes {
        let denied = node.check(WHO).await.unwrap();
        assert!(!denied.is_allowed());
        assert!(matches!(denied.retry_after(), Some(RetryAfter::After(wait)) if wait <= ms(1_220)));
        let again = node.check(WHO).await.unwrap();
        assert_eq!(
            (again.is_allowed(), again.source()),
            (false, Source::Refusal)
        );
        let never = node.check_cost("bob", 81).await.unwrap();
        assert_eq!(never.retry_after(), Some(RetryAfter::Never));
    }
    // Another subject has all of its own.
    assert!(nodes[0].check_cost("eve", 80).await.unwrap().is_allowed());
    subject.advance(ms(1_230)).await;
    assert!(nodes[1].check(WHO).await.unwrap().is_allowed());
}

pub async fn prepaid_units_that_are_not_used_come_back(subject: &Subject) {
    let node = prepaid(subject, 80);
    // What the store counts: in a period that is longer by the lease.
    let counted = Policy::window("ingest", 80, ms(900) + PAID_FOR).unwrap();
    let counted = subject.stay().limiter(counted);
    for (cost, left) in [(3, 77), (2, 75)] {
        assert!(node.check_cost(WHO, cost).await.unwrap().is_allowed());
        subject.advance(PAID_FOR + ms(20)).await;
        eventually("the rest comes back", Subject::BOUND, async || {
            let free = counted.peek(WHO).await.unwrap().remaining();
            (free == left).then_some(()).ok_or(format!("{free} free"))
        })
        .await;
    }
    // And at once when nobody can use them any more.
    assert!(node.check(WHO).await.unwrap().is_allowed());
    drop(node);
    eventually("all comes back", Subject::BOUND, async || {
        let free = counted.peek(WHO).await.unwrap().remaining();
        (free == 74).then_some(()).ok_or(format!("{free} free"))
    })
    .await;
    let limiter = |policy| subject.stay().limiter(policy);
    let nodes = NonZeroU32::new(2).unwrap();
    let small = limiter(Policy::window("small", 15, HOUR).unwrap());
    let log = limiter(Policy::exact("log", 100, HOUR).unwrap());
    let short = limiter(Policy::window("short", 100, ms(50)).unwrap());
    let outage = limiter(Policy::window("outage", 100, HOUR).unwrap());
    let outage = outage.when_down(WhenDown::Open).unwrap();
    for refused in [small, log, short, outage] {
        let refused = refused.prepaid(nodes, PAID_FOR).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

/// One whose leases are longer than a test, with what the store counts.
fn prepaid_for_long(subject: &Subject) -> (PrepaidLimiter, Limiter) {
    let lease = HOUR / 10;
    let policy = |period| Policy::window("long", 80, period).unwrap();
    let limiter = subject.stay().limiter(policy(HOUR));
    let prepaid = limiter.prepaid(NonZeroU32::new(2).unwrap(), lease);
    let counted = subject.stay().limiter(policy(HOUR + lease));
    (prepaid.unwrap(), counted)
}

async fn come_back(counted: &Limiter, left: u64) {
    eventually("what is not used comes back", Subject::BOUND, async || {
        let free = counted.peek(WHO).await.unwrap().remaining();
        (free == left).then_some(()).ok_or(format!("{free} free"))
    })
    .await;
}

pub async fn prepaid_units_come_back_when_nobody_can_use_them(subject: &Subject) {
    let (node, counted) = prepaid_for_long(subject);
    assert_eq!(node.portion(), 8);
    assert!(node.check_cost(WHO, 3).await.unwrap().is_allowed());
    assert_eq!(counted.peek(WHO).await.unwrap().remaining(), 72);
    // Whoever waits for the end of the lease does so by now.
    subject.advance(ms(10)).await;
    drop(node);
    come_back(&counted, 77).await;
}

pub async fn a_dropped_prepaid_call_loses_nothing(subject: &Subject) {
    let (node, counted) = prepaid_for_long(subject);
    let mut call = Box::pin(node.check_cost(WHO, 8));
    assert!(poll!(&mut call).is_pending());
    drop(call);
    // The draw goes on, and is for the next.
    for left in [79, 78] {
        let next = node.check(WHO).await.unwrap();
        assert_eq!((next.is_allowed(), next.source()), (true, Source::Lease));
        assert_eq!(next.remaining(), left);
    }
    assert_eq!(counted.peek(WHO).await.unwrap().remaining(), 72);
}

pub async fn a_prepaid_refusal_is_held_to_for_a_lease_at_most(subject: &Subject) {
    let policy = |period| Policy::window("hourly", 80, period).unwrap();
    let limiter = subject.stay().limiter(policy(HOUR));
    let node = limiter.prepaid(NonZeroU32::new(2).unwrap(), PAID_FOR);
    let (node, counted) = (
        node.unwrap(),
        subject.stay().limiter(policy(HOUR + PAID_FOR)),
    );
    assert!(node.check_cost(WHO, 80).await.unwrap().is_allowed());
    for source in [Source::Store, Source::Refusal] {
        let denied = node.check(WHO).await.unwrap();
        assert_eq!((denied.is_allowed(), denied.source()), (false, source));
        assert!(matches!(denied.retry_after(), Some(RetryAfter::After(wait)) if wait > HOUR));
    }
    // As another process does it.
    assert!(counted.reset(WHO).await.unwrap());
    subject.advance(PAID_FOR + ms(10)).await;
    assert!(node.check(WHO).await.unwrap().is_allowed());
}

pub async fn a_prepaid_limit_can_be_looked_at_and_reset(subject: &Subject) {
    let (node, counted) = prepaid_for_long(subject);
    assert_eq!(node.peek(WHO).await.unwrap().remaining(), 80);
    assert!(!node.reset(WHO).await.unwrap());
    for left in [79, 78, 77] {
        assert!(node.check(WHO).await.unwrap().is_allowed());
        let look = node.peek(WHO).await.unwrap();
        assert_eq!((look.remaining(), look.cost()), (left, 0));
    }
    // What one process holds counts as used for another.
    let (other, _) = prepaid_for_long(subject);
    assert_eq!(other.peek(WHO).await.unwrap().remaining(), 72);
    assert!(node.check_cost(WHO, 77).await.unwrap().is_allowed());
    for source in [Source::Store, Source::Refusal] {
        let denied = node.check(WHO).await.unwrap();
        assert_eq!((denied.is_allowed(), denied.source()), (false, source));
    }
    assert!(node.reset(WHO).await.unwrap());
    assert_eq!(node.peek(WHO).await.unwrap().remaining(), 80);
    assert_eq!(node.check(WHO).await.unwrap().source(), Source::Store);
    assert_eq!(node.peek(WHO).await.unwrap().remaining(), 79);
    // What the process holds goes with it.
    assert!(node.reset(WHO).await.unwrap());
    assert_eq!(node.check(WHO).await.unwrap().source(), Source::Store);
    assert_eq!(counted.peek(WHO).await.unwrap().remaining(), 72);
}
