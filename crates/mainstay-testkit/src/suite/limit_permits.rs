//! Permits of concurrent calls.

use std::time::Duration;

use mainstay::ErrorKind;
use mainstay::ratelimit::{Entry, Limiter, Permit, PermitAttempt, Policy, RetryAfter};

use super::limit_kinds::left;
use super::{Subject, ms};
use crate::fixture::eventually;

const WHO: &str = "ada";
const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = ms(400);

async fn enter(limiter: &Limiter) -> Option<Permit> {
    match limiter.call(WHO).enter().await.unwrap() {
        Entry::Entered(permit) => Some(permit),
        Entry::Denied(_) => None,
    }
}

fn exports(subject: &Subject) -> Limiter {
    subject
        .stay()
        .limiter(Policy::concurrent("export", 2, LEASE).unwrap())
}

pub async fn permits_are_given_back_when_they_are_left_or_dropped(subject: &Subject) {
    let limiter = exports(subject);
    let (one, two) = (
        enter(&limiter).await.unwrap(),
        enter(&limiter).await.unwrap(),
    );
    let Entry::Denied(denied) = limiter.call(WHO).enter().await.unwrap() else {
        panic!("two are in");
    };
    assert!(matches!(denied.retry_after(), Some(RetryAfter::After(wait)) if wait <= LEASE));
    assert!(one.leave().await.unwrap());
    let three = enter(&limiter).await.unwrap();
    drop(two);
    eventually(
        "a dropped permit is given back",
        Subject::BOUND,
        async || {
            let free = limiter.peek(WHO).await.unwrap().remaining();
            (free == 1).then_some(()).ok_or(format!("{free} free"))
        },
    )
    .await;
    assert!(!three.is_lost());
    assert_eq!(
        limiter.check(WHO).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

pub async fn a_permit_lasts_while_it_is_kept_and_no_longer(subject: &Subject) {
    let limiter = exports(subject);
    let kept = enter(&limiter).await.unwrap();
    subject.advance(3 * LEASE).await;
    assert_eq!(limiter.peek(WHO).await.unwrap().remaining(), 1);
    assert!(!kept.is_lost());
    // Somebody resets the limit, and others come in.
    assert!(limiter.reset(WHO).await.unwrap());
    let others = (
        enter(&limiter).await.unwrap(),
        enter(&limiter).await.unwrap(),
    );
    subject.advance(LEASE).await;
    assert!(kept.is_lost());
    assert!(!others.0.is_lost() && !others.1.is_lost());
}

pub async fn a_permit_may_be_kept_by_its_token(subject: &Subject) {
    let limiter = exports(subject);
    let lease = async || match limiter.call(WHO).lease().await.unwrap() {
        PermitAttempt::Leased(lease) => Some(lease),
        PermitAttempt::Denied(_) => None,
    };
    let (one, two) = (lease().await.unwrap(), lease().await.unwrap());
    assert!(one.expires_in <= LEASE && one.token != two.token);
    assert_eq!(two.decision.remaining(), 0);
    assert_eq!(lease().await, None);
    let renew = async |token: &str| limiter.call(WHO).renew(token).await.unwrap();
    subject.advance(LEASE / 2).await;
    assert!(renew(&one.token).await.is_some_and(|left| left <= LEASE));
    subject.advance(LEASE / 2 + ms(10)).await;
    // Nobody has renewed the second, and another takes its place.
    let three = lease().await.unwrap();
    assert_eq!(lease().await, None);
    assert_eq!(renew(&two.token).await, None);
    assert!(limiter.call(WHO).leave(&one.token).await.unwrap());
    assert!(!limiter.call(WHO).leave(&one.token).await.unwrap());
    assert!(limiter.call(WHO).leave(&three.token).await.unwrap());
    assert_eq!(limiter.peek(WHO).await.unwrap().remaining(), 2);
}

pub async fn a_permit_and_a_rate_are_taken_together_or_not_at_all(subject: &Subject) {
    let rate = Policy::window("rate", 2, HOUR).unwrap();
    let limiter = exports(subject).and(rate).unwrap();
    let one = enter(&limiter).await.unwrap();
    assert_eq!(left(one.decision()), [1, 1]);
    assert!(one.leave().await.unwrap());
    let two = enter(&limiter).await.unwrap();
    // The rate stays charged, and denies: no permit is out for it.
    assert!(enter(&limiter).await.is_none());
    assert_eq!(left(&limiter.peek(WHO).await.unwrap()), [1, 0]);
    assert!(two.leave().await.unwrap());
}
