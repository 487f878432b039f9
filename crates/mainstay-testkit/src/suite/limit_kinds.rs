//! Rate limits of every algorithm, several at once, and what was taken given back.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::ratelimit::{Decision, Policy, RetryAfter, Source, Unit};
use mainstay::{ErrorKind, Mainstay};

use super::{Subject, ms};

const WHO: &str = "ada";
const HOUR: Duration = Duration::from_secs(3600);

/// One policy of each algorithm that charges, all of one limit.
fn policies(limit: u64) -> [Policy; 4] {
    [
        Policy::window("window", limit, HOUR),
        Policy::exact("exact", limit, HOUR),
        Policy::gcra("gcra", limit, HOUR, limit),
        Policy::fixed("fixed", limit, Unit::Year, "Pacific/Auckland"),
    ]
    .map(Result::unwrap)
}

pub(super) fn left(decision: &Decision) -> Vec<u64> {
    let quotas = decision.quotas().iter();
    quotas.map(|quota| quota.remaining).collect()
}

pub async fn every_algorithm_counts_down_to_a_denial(subject: &Subject) {
    for policy in policies(3) {
        let limiter = subject.stay().limiter(policy);
        for left in [2, 1, 0] {
            let decision = limiter.check(WHO).await.unwrap();
            assert_eq!((decision.is_allowed(), decision.remaining()), (true, left));
        }
        let denied = limiter.check(WHO).await.unwrap();
        let Some(RetryAfter::After(wait)) = denied.retry_after() else {
            panic!("{limiter:?}: {denied:?}");
        };
        assert!(
            !wait.is_zero() && wait <= denied.reset_after(),
            "{denied:?}"
        );
        let never = limiter.check_cost(WHO, 4).await.unwrap();
        assert_eq!(never.retry_after(), Some(RetryAfter::Never));
        assert_eq!(limiter.check("bob").await.unwrap().remaining(), 2);
    }
}

pub async fn a_bucket_is_refilled_evenly(subject: &Subject) {
    let policy = Policy::gcra("api", 10, ms(1_000), 2).unwrap();
    let limiter = subject.stay().limiter(policy);
    let first = limiter.check_cost(WHO, 2).await.unwrap();
    let denied = limiter.check(WHO).await.unwrap();
    let Some(RetryAfter::After(wait)) = denied.retry_after() else {
        panic!("{denied:?}");
    };
    // One unit is back 100 ms after the bucket was emptied.
    assert_eq!(denied.decided_at() + wait, first.decided_at() + ms(100));
    subject.advance(wait + ms(1)).await;
    assert!(limiter.check(WHO).await.unwrap().is_allowed());
}

pub async fn a_denial_by_one_policy_charges_none(subject: &Subject) {
    let [window, exact, gcra, fixed] = policies(5);
    let small = Policy::window("small", 2, HOUR).unwrap();
    let limiter = subject.stay().limiter(window);
    let limiter = [exact, small, gcra, fixed]
        .into_iter()
        .fold(limiter, |limiter, policy| limiter.and(policy).unwrap());
    let denied = limiter.check_cost(WHO, 3).await.unwrap();
    assert!(!denied.is_allowed());
    assert_eq!(denied.tightest().policy.as_str(), "small");
    let refusals = denied.quotas().iter().filter(|it| it.retry_after.is_some());
    assert_eq!(refusals.count(), 1);
    assert_eq!(left(&limiter.peek(WHO).await.unwrap()), [5, 5, 2, 5, 5]);
    let allowed = limiter.check_cost(WHO, 2).await.unwrap();
    assert_eq!(left(&allowed), [3, 3, 0, 3, 3]);
    // Each by itself has been charged as much.
    let alone = subject
        .stay()
        .limiter(Policy::window("window", 5, HOUR).unwrap());
    assert_eq!(alone.peek(WHO).await.unwrap().remaining(), 3);
    let again = Policy::window("window", 7, HOUR).unwrap();
    assert_eq!(limiter.and(again).unwrap_err().kind(), ErrorKind::Invalid);
}

pub async fn each_policy_may_have_a_subject_of_its_own(subject: &Subject) {
    let policy = |name, limit| Policy::window(name, limit, HOUR).unwrap();
    let limiter = subject.stay().limiter(policy("ip", 9));
    let limiter = limiter.and(policy("user", 4)).unwrap();
    let limiter = limiter.and(policy("all", 5)).unwrap();
    let check = |ip, user| limiter.call_each(&[ip, user, "all"]).cost(3).check();
    assert_eq!(left(&check("1.1.1.1", "ada").await.unwrap()), [6, 1, 2]);
    let denied = check("1.1.1.1", "bob").await.unwrap();
    assert_eq!(denied.tightest().policy.as_str(), "all");
    let peek = limiter.call_each(&["1.1.1.1", "bob", "all"]).cost(0).peek();
    assert_eq!(left(&peek.await.unwrap()), [6, 4, 2]);
    // Under contention, too, what is denied is charged to nobody.
    let calls = (0..8).map(|_| limiter.call_each(&["2.2.2.2", "eve", "all"]).check());
    let calls = join_all(calls).await;
    let allowed = calls.iter().filter(|it| it.as_ref().unwrap().is_allowed());
    assert_eq!(allowed.count(), 2);
    let peek = limiter.call_each(&["2.2.2.2", "eve", "all"]).cost(0).peek();
    assert_eq!(left(&peek.await.unwrap()), [7, 2, 0]);
    let one = limiter.call_each(&["1.1.1.1"]).check().await;
    assert_eq!(one.unwrap_err().kind(), ErrorKind::Invalid);
}

pub async fn calls_of_several_limiters_are_decided_together(subject: &Subject) {
    let [window, exact, ..] = policies(5);
    let requests = subject.stay().limiter(window);
    let tokens = subject.stay().limiter(exact);
    let call = |who, cost| requests.call(who).and(tokens.call("team").cost(cost));
    let first = call("ada", 3).check().await.unwrap();
    assert_eq!((left(&first), first.cost()), (vec![4, 2], 3));
    let denied = call("bob", 3).check().await.unwrap();
    assert_eq!(denied.tightest().policy.as_str(), "exact");
    assert_eq!(left(&denied), [5, 2]);
    // One policy for two subjects, and both costs given back.
    let two = requests
        .call("ada")
        .cost(2)
        .and(requests.call("bob").cost(4));
    assert_eq!(left(&two.check().await.unwrap()), [2, 1]);
    assert!(call("ada", 5).refund(&first).await.unwrap());
    assert_eq!(left(&call("ada", 0).peek().await.unwrap()), [3, 5]);
    let twice = requests.call("ada").and(requests.call("ada"));
    assert_eq!(twice.check().await.unwrap_err().kind(), ErrorKind::Invalid);
    let elsewhere = Mainstay::memory().limiter(policies(1)[1].clone());
    let apart = requests
        .call("ada")
        .and(elsewhere.call("ada"))
        .check()
        .await;
    assert_eq!(apart.unwrap_err().kind(), ErrorKind::Invalid);
}

pub async fn denials_are_remembered_until_they_end(subject: &Subject) {
    let policy = Policy::exact("login", 3, ms(1_500)).unwrap();
    let plain = subject.stay().limiter(policy);
    let limiter = plain.remember_denials(NonZeroUsize::new(100).unwrap());
    let check = async |cost| {
        let decision = limiter.check_cost(WHO, cost).await.unwrap();
        (decision.is_allowed(), decision.source())
    };
    assert_eq!(check(2).await, (true, Source::Store));
    assert_eq!(check(2).await, (false, Source::Store));
    let denied = limiter.check_cost(WHO, 3).await.unwrap();
    assert_eq!((denied.source(), denied.cost()), (Source::Refusal, 3));
    assert!(matches!(denied.retry_after(), Some(RetryAfter::After(wait)) if wait <= ms(1_500)));
    // Less may fit, and does; the denial of more is still known, and what never fits is asked for.
    assert_eq!(check(1).await, (true, Source::Store));
    assert_eq!(check(4).await, (false, Source::Store));
    assert_eq!(check(2).await, (false, Source::Refusal));
    assert_eq!(
        limiter.check_cost("bob", 1).await.unwrap().source(),
        Source::Store
    );
    // A token, and who only looks, ask the store.
    let once = limiter
        .call(WHO)
        .cost(2)
        .once("order")
        .check()
        .await
        .unwrap();
    assert_eq!((once.is_allowed(), once.source()), (false, Source::Store));
    assert_eq!(limiter.peek(WHO).await.unwrap().source(), Source::Store);
    // What the limiter itself gives back or resets is known at once.
    assert_eq!(check(2).await, (false, Source::Refusal));
    assert!(limiter.reset(WHO).await.unwrap());
    assert_eq!(check(2).await, (true, Source::Store));
    assert_eq!(check(2).await, (false, Source::Store));
    subject.advance(ms(1_510)).await;
    assert_eq!(check(2).await, (true, Source::Store));
}

pub async fn what_is_given_back_can_be_taken_again(subject: &Subject) {
    for policy in policies(4) {
        let limiter = subject.stay().limiter(policy);
        let first = limiter.check_cost(WHO, 3).await.unwrap();
        let denied = limiter.check_cost(WHO, 2).await.unwrap();
        assert!(!limiter.refund(WHO, &denied).await.unwrap());
        assert!(limiter.call(WHO).cost(2).refund(&first).await.unwrap());
        assert_eq!(limiter.peek(WHO).await.unwrap().remaining(), 3);
        assert!(limiter.check_cost(WHO, 3).await.unwrap().is_allowed());
        assert!(!limiter.refund("bob", &first).await.unwrap());
    }
}

pub async fn a_reset_forgets_what_was_counted(subject: &Subject) {
    let [one, two, ..] = policies(2);
    let limiter = subject.stay().limiter(one).and(two).unwrap();
    assert!(!limiter.reset(WHO).await.unwrap());
    assert!(limiter.check_cost(WHO, 2).await.unwrap().is_allowed());
    assert!(limiter.reset(WHO).await.unwrap());
    assert_eq!(left(&limiter.peek(WHO).await.unwrap()), [2, 2]);
}

pub async fn a_call_with_a_token_is_charged_once(subject: &Subject) {
    let limiter = subject
        .stay()
        .limiter(Policy::window("mail", 5, HOUR).unwrap());
    let send = |token: &'static str| limiter.call(WHO).cost(2).once(token).check();
    let first = send("order-17").await.unwrap();
    assert_eq!(first.remaining(), 3);
    assert_eq!(send("order-17").await.unwrap(), first);
    assert_eq!(send("order-18").await.unwrap().remaining(), 1);
    // Of another cost it is another call.
    let other = limiter.call(WHO).once("order-17").check().await.unwrap();
    assert_eq!((other.cost(), other.remaining()), (1, 0));
    // A denial is not kept.
    assert!(!send("order-19").await.unwrap().is_allowed());
    assert!(limiter.reset(WHO).await.unwrap());
    assert!(send("order-19").await.unwrap().is_allowed());
}

pub async fn a_changed_policy_finds_what_was_counted(subject: &Subject) {
    let changed = |name: &str, from: Policy, to: Policy| {
        let limiter = |policy| subject.stay().limiter(policy);
        (name.to_owned(), limiter(from), limiter(to))
    };
    for (name, before, after) in [
        changed(
            "window",
            policies(4)[0].clone(),
            Policy::window("window", 10, 2 * HOUR).unwrap(),
        ),
        changed(
            "exact",
            policies(4)[1].clone(),
            Policy::exact("exact", 10, 2 * HOUR).unwrap(),
        ),
        changed(
            "fixed",
            policies(4)[3].clone(),
            Policy::fixed("fixed", 10, Unit::Day, "UTC").unwrap(),
        ),
    ] {
        assert!(before.check_cost(WHO, 3).await.unwrap().is_allowed());
        assert_eq!(after.peek(WHO).await.unwrap().remaining(), 7, "{name}");
    }
    // Of a bucket the time until it is full stays: 3 of 4 units an hour are 45 minutes.
    let (_, before, after) = changed(
        "gcra",
        policies(4)[2].clone(),
        Policy::gcra("gcra", 8, HOUR, 8).unwrap(),
    );
    assert!(before.check_cost(WHO, 3).await.unwrap().is_allowed());
    assert_eq!(after.peek(WHO).await.unwrap().remaining(), 2);
    // Another algorithm begins anew.
    let other = subject
        .stay()
        .limiter(Policy::exact("gcra", 8, HOUR).unwrap());
    assert_eq!(other.check(WHO).await.unwrap().remaining(), 7);
}

pub async fn a_look_by_another_rule_changes_nothing(subject: &Subject) {
    let minute = Duration::from_secs(60);
    let pairs = [
        (
            Policy::window("window", 9, HOUR),
            Policy::window("window", 2, minute),
        ),
        (
            Policy::exact("exact", 9, HOUR),
            Policy::exact("exact", 2, minute),
        ),
        (
            Policy::gcra("gcra", 9, HOUR, 9),
            Policy::gcra("gcra", 9, minute, 2),
        ),
        (
            Policy::fixed("fixed", 9, Unit::Year, "UTC"),
            Policy::fixed("fixed", 2, Unit::Hour, "UTC"),
        ),
    ];
    for (ours, other) in pairs {
        let ours = subject.stay().limiter(ours.unwrap());
        let other = subject.stay().limiter(other.unwrap());
        assert_eq!(ours.check_cost(WHO, 8).await.unwrap().remaining(), 1);
        for _ in 0..3 {
            assert_eq!(other.peek(WHO).await.unwrap().remaining(), 0);
            assert!(!other.check(WHO).await.unwrap().is_allowed());
            assert_eq!(ours.peek(WHO).await.unwrap().remaining(), 1);
        }
        assert!(ours.check(WHO).await.unwrap().is_allowed());
        assert!(!ours.check(WHO).await.unwrap().is_allowed());
    }
}
