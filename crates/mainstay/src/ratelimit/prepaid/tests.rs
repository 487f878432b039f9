//! What a process does with what it holds when callers, the store or the runtime let it down.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

use super::PrepaidLimiter;
use crate::backend::memory;
use crate::clock::{Clock, ManualClock, Moment, TIMER_LAG};
use crate::key::Keyspace;
use crate::ratelimit::{Limiter, Policy, RetryAfter, Source};

const LIMIT: u64 = 80;
const PERIOD: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_millis(100);
/// What a draw takes.
const PORTION: u64 = 8;
const WHO: &str = "ada";

/// A clock by hand whose timer is as late as it may be.
#[derive(Debug)]
struct LateTimer(ManualClock);

impl Clock for LateTimer {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn coarse(&self) -> Moment {
        let start = Moment::default();
        start.after(self.now().since(start.after(TIMER_LAG)))
    }

    fn unix(&self) -> Duration {
        self.0.unix()
    }

    fn sleep_until(&self, deadline: Moment) -> BoxFuture<'static, ()> {
        self.0.sleep_until(deadline)
    }
}

/// What was counted, by the name and the labels of a counter.
#[derive(Default)]
struct Counted(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counted {
    fn of(&self, name: &str, labels: &[&str]) -> u64 {
        let name = [&[name], labels].concat().join(" ");
        let counters = self.0.lock().unwrap();
        counters[&name].load(Ordering::Relaxed)
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key.labels().map(metrics::Label::value);
        let name: Vec<_> = [key.name()].into_iter().chain(labels).collect();
        let mut counters = self.0.lock().unwrap();
        let counter = counters.entry(name.join(" ")).or_default();
        Counter::from_arc(Arc::clone(counter))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

struct Scene {
    clock: ManualClock,
    counters: Counted,
    /// Of the store alone, by the rule that counts there.
    stored: Limiter,
    limiter: PrepaidLimiter,
}

impl Scene {
    fn new() -> Self {
        let clock = ManualClock::new();
        let timed: Arc<dyn Clock> = Arc::new(LateTimer(clock.clone()));
        let store = memory::limits(Arc::clone(&timed));
        let limiter = |period| {
            Limiter::new(
                Arc::clone(&store),
                memory::limits(Arc::clone(&timed)),
                Keyspace::default(),
                Arc::clone(&timed),
                Duration::from_secs(3),
                Policy::window("ingest", LIMIT, period).unwrap(),
            )
        };
        let (counters, two) = (Counted::default(), NonZeroU32::new(2).unwrap());
        let prepaid = with_local_recorder(&counters, || limiter(PERIOD).prepaid(two, LEASE));
        let prepaid = prepaid.unwrap();
        assert_eq!(prepaid.portion(), PORTION);
        Self {
            clock,
            counters,
            stored: limiter(PERIOD + LEASE),
            limiter: prepaid,
        }
    }

    /// Who lets one unit pass.
    async fn source(&self) -> Source {
        let decision = self.limiter.check(WHO).await.unwrap();
        assert!(decision.is_allowed(), "{decision:?}");
        decision.source()
    }
}

#[tokio::test]
async fn no_unit_is_used_after_its_lease_though_the_timer_is_late() {
    let scene = Scene::new();
    // Far enough for the late timer to tell anything.
    scene.clock.advance(2 * TIMER_LAG);
    assert_eq!(scene.source().await, Source::Store);
    let last = Duration::from_nanos(1);
    scene.clock.advance(LEASE.saturating_sub(last));
    assert_eq!(scene.source().await, Source::Lease);
    scene.clock.advance(last);
    assert_eq!(scene.source().await, Source::Store);
}

#[tokio::test]
async fn decisions_are_counted_when_they_are_made() {
    let scene = Scene::new();
    let counted = |decision| {
        let name = "mainstay_limit_decisions_total";
        scene.counters.of(name, &["ingest", decision])
    };
    for calls in 1..=LIMIT {
        scene.source().await;
        assert_eq!(counted("allowed"), calls);
    }
    for calls in 1..=5 {
        let denied = scene.limiter.check(WHO).await.unwrap();
        assert!(!denied.is_allowed());
        assert_eq!(counted("denied"), calls);
    }
}

#[tokio::test]
async fn what_is_free_again_is_seen_within_a_lease_though_the_wait_is_longer() {
    let scene = Scene::new();
    let all = scene.limiter.check_cost(WHO, LIMIT).await.unwrap();
    assert!(all.is_allowed());
    let wait = async |by| {
        let denied = scene.limiter.check(WHO).await.unwrap();
        assert_eq!(denied.source(), by);
        match denied.retry_after() {
            Some(RetryAfter::After(wait)) => wait,
            other => panic!("{other:?}"),
        }
    };
    let told = wait(Source::Store).await;
    assert!(told > PERIOD);
    let last = Duration::from_millis(1);
    let nearly = LEASE.saturating_sub(last);
    scene.clock.advance(nearly);
    assert_eq!(wait(Source::Refusal).await + nearly, told);
    assert!(scene.stored.refund(WHO, &all).await.unwrap());
    scene.clock.advance(last);
    assert_eq!(scene.source().await, Source::Store);
}
