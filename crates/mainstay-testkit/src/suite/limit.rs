//! Rate limits: what is admitted, what is denied, and until when.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::ErrorKind;
use mainstay::ratelimit::{Decision, Limiter, Policy, RetryAfter};

use super::{Subject, ms};
use crate::oracle::{Admission, most_in_any_window};

const WHO: &str = "ip:192.0.2.1";
const LONG: Duration = Duration::from_secs(3600);

fn limiter(subject: &Subject, limit: u64, period: Duration) -> Limiter {
    subject
        .stay()
        .limiter(Policy::window("api", limit, period).unwrap())
}

/// What every decision tells.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    allowed: bool,
    remaining: u64,
    reset_at: Duration,
    decided_at: Duration,
}

fn told(decision: &Decision) -> Told {
    Told {
        allowed: decision.is_allowed(),
        remaining: decision.remaining(),
        reset_at: decision.decided_at() + decision.reset_after(),
        decided_at: decision.decided_at(),
    }
}

fn retry_after(decision: &Decision) -> RetryAfter {
    decision.retry_after().expect("it was denied")
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

pub async fn no_window_admits_more_than_the_limit(subject: &Subject) {
    let (limit, period) = (20, ms(120));
    let limiter = limiter(subject, limit, period);
    let mut numbers = Numbers(7);
    let mut history = Vec::new();
    for _ in 0..150 {
        let costs: Vec<_> = (0..4).map(|_| u64::from(1 + numbers.below(3))).collect();
        let calls = costs.iter().map(|&cost| limiter.check_cost(WHO, cost));
        for (decision, &cost) in join_all(calls).await.iter().zip(&costs) {
            let told = told(decision.as_ref().unwrap());
            if told.allowed {
                history.push(Admission {
                    at: told.decided_at,
                    cost,
                });
            }
        }
        subject.advance(ms(u64::from(numbers.below(8)))).await;
    }
    let most = most_in_any_window(&history, period);
    assert!(most <= limit, "{most} admitted in one window");
    assert!(most + 2 >= limit, "only {most} admitted in any window");
    assert!(history.len() > 30, "only {} calls admitted", history.len());
}

pub async fn remaining_counts_down_to_a_denial(subject: &Subject) {
    let limiter = limiter(subject, 3, LONG);
    for left in [2, 1, 0] {
        let told = told(&limiter.check(WHO).await.unwrap());
        assert_eq!((told.allowed, told.remaining), (true, left));
    }
    let denied = limiter.check(WHO).await.unwrap();
    assert!(!denied.is_allowed());
    assert_eq!(told(&denied).remaining, 0);
    assert_eq!(denied.limit(), 3);
}

pub async fn a_denial_changes_nothing(subject: &Subject) {
    let limiter = limiter(subject, 5, LONG);
    assert!(limiter.check_cost(WHO, 4).await.unwrap().is_allowed());
    let before = told(&limiter.peek(WHO).await.unwrap());
    for _ in 0..10 {
        subject.advance(ms(2)).await;
        let denied = told(&limiter.check_cost(WHO, 2).await.unwrap());
        assert!(!denied.allowed);
        assert_eq!((denied.remaining, denied.reset_at), (1, before.reset_at));
    }
    assert!(limiter.check_cost(WHO, 1).await.unwrap().is_allowed());
}

pub async fn a_denied_call_is_admitted_at_its_retry_after_and_not_before(subject: &Subject) {
    let period = ms(120);
    let limiter = limiter(subject, 4, period);
    for cost in [1, 2, 1] {
        assert!(limiter.check_cost(WHO, cost).await.unwrap().is_allowed());
        subject.advance(ms(11)).await;
    }
    // It fits when the first two are out.
    let denied = limiter.check_cost(WHO, 3).await.unwrap();
    let RetryAfter::After(wait) = retry_after(&denied) else {
        panic!("it would fit: {denied:?}");
    };
    assert!(wait <= period + period / 30, "{denied:?}");
    let from = told(&denied).decided_at + wait;
    subject.advance(wait.saturating_sub(ms(3))).await;
    loop {
        let told = told(&limiter.check_cost(WHO, 3).await.unwrap());
        // Whatever the moment of the call, the store's clock tells what is right.
        assert_eq!(
            told.allowed,
            told.decided_at >= from,
            "{told:?}, from {from:?}"
        );
        if told.allowed {
            return;
        }
        subject.advance(Duration::from_micros(500)).await;
    }
}

pub async fn a_cost_above_the_limit_is_never_admitted(subject: &Subject) {
    let limiter = limiter(subject, 5, LONG);
    let denied = limiter.check_cost(WHO, 6).await.unwrap();
    assert_eq!(retry_after(&denied), RetryAfter::Never);
    assert_eq!(told(&denied).remaining, 5);
    assert!(limiter.check_cost(WHO, 5).await.unwrap().is_allowed());
}

pub async fn a_peek_charges_nothing(subject: &Subject) {
    let limiter = limiter(subject, 2, LONG);
    for _ in 0..5 {
        assert_eq!(told(&limiter.peek(WHO).await.unwrap()).remaining, 2);
        assert_eq!(
            told(&limiter.check_cost(WHO, 0).await.unwrap()).remaining,
            2
        );
    }
    assert!(limiter.check_cost(WHO, 2).await.unwrap().is_allowed());
    assert_eq!(told(&limiter.peek(WHO).await.unwrap()).remaining, 0);
}

pub async fn a_cost_is_taken_whole_or_not_at_all(subject: &Subject) {
    let limiter = limiter(subject, 10, LONG);
    let calls = join_all((0..8).map(|_| limiter.check_cost(WHO, 3))).await;
    let admitted = calls
        .iter()
        .filter(|call| call.as_ref().unwrap().is_allowed());
    assert_eq!(admitted.count(), 3);
    assert_eq!(told(&limiter.peek(WHO).await.unwrap()).remaining, 1);
}

pub async fn subjects_and_policies_are_apart(subject: &Subject) {
    let api = limiter(subject, 1, LONG);
    let login = subject
        .stay()
        .limiter(Policy::window("login", 1, LONG).unwrap());
    assert!(api.check(WHO).await.unwrap().is_allowed());
    assert!(api.check("{ip}").await.unwrap().is_allowed());
    assert!(login.check(WHO).await.unwrap().is_allowed());
    assert!(!api.check(WHO).await.unwrap().is_allowed());
    assert_eq!(api.check("").await.unwrap_err().kind(), ErrorKind::Invalid);
}

pub async fn nothing_counts_any_more_after_the_reset(subject: &Subject) {
    let limiter = limiter(subject, 3, ms(60));
    let taken = limiter.check_cost(WHO, 3).await.unwrap();
    let told_before = told(&taken);
    subject
        .advance(told_before.reset_at.saturating_sub(told_before.decided_at) + ms(2))
        .await;
    let after = told(&limiter.peek(WHO).await.unwrap());
    assert_eq!((after.remaining, after.reset_at), (3, after.decided_at));
}
