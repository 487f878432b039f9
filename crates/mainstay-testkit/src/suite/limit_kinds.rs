//! Rate limits of every algorithm, several at once, and what was taken given back.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use mainstay::ratelimit::{
    Decision, Entry, Limiter, Permit, PermitAttempt, Policy, PrepaidLimiter, RetryAfter, Source,
    Unit, WhenDown,
};
use mainstay::{ErrorKind, Mainstay};

use super::{Subject, ms};
use crate::fixture::eventually;

const WHO: &str = "ada";
const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_millis(400);

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

fn left(decision: &Decision) -> Vec<u64> {
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
    let policy = Policy::exact("login", 3, ms(600)).unwrap();
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
    assert!(matches!(denied.retry_after(), Some(RetryAfter::After(wait)) if wait <= ms(600)));
    // Less may fit, and does; the denial of more is still known.
    assert_eq!(check(1).await, (true, Source::Store));
    let refused = check(4).await;
    assert_eq!(refused, (false, Source::Store));
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
    assert_eq!(check(2).await, (false, Source::Store));
    assert!(limiter.reset(WHO).await.unwrap());
    assert_eq!(check(2).await, (true, Source::Store));
    assert_eq!(check(2).await, (false, Source::Store));
    subject.advance(ms(610)).await;
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
