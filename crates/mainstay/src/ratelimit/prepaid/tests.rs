//! What a process does with what it holds when callers, the store or the runtime let it down.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use futures_util::poll;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use tokio::sync::watch;
use tokio::task::yield_now;

use super::PrepaidLimiter;
use crate::backend::{Charge, Demand, LimitStore, Take, memory};
use crate::clock::{Clock, ManualClock, Moment, TIMER_LAG};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Keyspace, StoreKey};
use crate::ratelimit::{Limiter, Policy, RetryAfter, Source};

const LIMIT: u64 = 80;
const PERIOD: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_millis(100);
/// What a draw takes.
const PORTION: u64 = 8;
const WHO: &str = "ada";
const LOST: &str = "mainstay_limit_units_lost_total";

/// The memory backend, whose answers can be held up or fail.
struct Store {
    memory: Arc<dyn LimitStore>,
    takes: AtomicU64,
    takes_answer: watch::Sender<bool>,
    /// Under way, and the most at a time.
    refunds: Mutex<(usize, usize)>,
    refunds_answer: watch::Sender<bool>,
    is_down: AtomicBool,
}

impl Store {
    fn answer<T>(&self, answer: Result<T>) -> Result<T> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "down"));
        }
        answer
    }
}

#[async_trait]
impl LimitStore for Store {
    async fn take(&self, demands: &[Demand], charge: Charge<'_>) -> Result<Vec<Take>> {
        self.takes.fetch_add(1, Ordering::Relaxed);
        let taken = self.memory.take(demands, charge).await;
        let mut answers = self.takes_answer.subscribe();
        answers.wait_for(|answers| *answers).await.unwrap();
        self.answer(taken)
    }

    async fn refund(&self, demands: &[Demand], at: Duration) -> Result<u64> {
        {
            let (now, most) = &mut *self.refunds.lock().unwrap();
            *now += 1;
            *most = (*most).max(*now);
        }
        let mut answers = self.refunds_answer.subscribe();
        answers.wait_for(|answers| *answers).await.unwrap();
        self.refunds.lock().unwrap().0 -= 1;
        self.answer(Ok(()))?;
        self.memory.refund(demands, at).await
    }

    async fn reset(&self, keys: &[StoreKey]) -> Result<u64> {
        self.memory.reset(keys).await
    }
}

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
    store: Arc<Store>,
    /// Of the store alone, by the rule that counts there.
    stored: Limiter,
    limiter: PrepaidLimiter,
}

/// Lets everybody run who can.
async fn settle() {
    for _ in 0..64 {
        yield_now().await;
    }
}

impl Scene {
    fn new() -> Self {
        let clock = ManualClock::new();
        let timed: Arc<dyn Clock> = Arc::new(LateTimer(clock.clone()));
        let store = Arc::new(Store {
            memory: memory::limits(Arc::clone(&timed), 1_000),
            takes: AtomicU64::new(0),
            takes_answer: watch::Sender::new(true),
            refunds: Mutex::default(),
            refunds_answer: watch::Sender::new(true),
            is_down: AtomicBool::new(false),
        });
        let limiter = |period| {
            Limiter::new(
                Arc::clone(&store) as Arc<dyn LimitStore>,
                memory::limits(Arc::clone(&timed), 1_000),
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
            store,
            limiter: prepaid,
        }
    }

    /// Who lets one unit pass.
    async fn source(&self) -> Source {
        let decision = self.limiter.check(WHO).await.unwrap();
        assert!(decision.is_allowed(), "{decision:?}");
        decision.source()
    }

    fn takes(&self) -> u64 {
        self.store.takes.load(Ordering::Relaxed)
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        settle().await;
    }

    fn lost(&self) -> u64 {
        self.counters.of(LOST, &["ingest"])
    }

    async fn free(&self) -> u64 {
        self.free_of(WHO).await
    }

    async fn free_of(&self, subject: &str) -> u64 {
        self.stored.peek(subject).await.unwrap().remaining()
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

#[tokio::test]
async fn what_a_dropped_call_has_drawn_is_for_the_next() {
    for cost in [3, 3 * PORTION] {
        let scene = Scene::new();
        scene.store.takes_answer.send_replace(false);
        let mut dropped = Box::pin(scene.limiter.check_cost(WHO, cost));
        assert!(poll!(&mut dropped).is_pending());
        settle().await;
        drop(dropped);
        scene.store.takes_answer.send_replace(true);
        for _ in 0..PORTION {
            assert_eq!(scene.source().await, Source::Lease);
        }
        assert_eq!((scene.takes(), scene.free().await), (1, LIMIT - PORTION));
    }
}

#[tokio::test]
async fn callers_who_wait_for_a_draw_share_its_failure() {
    let scene = Scene::new();
    scene.store.is_down.store(true, Ordering::Relaxed);
    scene.store.takes_answer.send_replace(false);
    let calls = join_all((0..5).map(|_| scene.limiter.check(WHO)));
    let answering = async {
        settle().await;
        scene.pass(Duration::from_millis(1)).await;
        scene.store.takes_answer.send_replace(true);
    };
    let (calls, ()) = tokio::join!(calls, answering);
    for call in calls {
        assert_eq!(call.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(scene.takes(), 1);
    // Who comes later asks anew.
    scene.store.is_down.store(false, Ordering::Relaxed);
    assert_eq!(scene.source().await, Source::Store);
}

#[tokio::test]
async fn what_many_subjects_have_not_used_comes_back_some_at_a_time() {
    let scene = Scene::new();
    let subjects: Vec<_> = (0..100).map(|number| format!("{WHO}-{number}")).collect();
    for subject in &subjects {
        let decision = scene.limiter.check(subject.as_str()).await.unwrap();
        assert!(decision.is_allowed());
    }
    scene.store.refunds_answer.send_replace(false);
    scene.pass(LEASE).await;
    assert_eq!(*scene.store.refunds.lock().unwrap(), (32, 32));
    scene.store.refunds_answer.send_replace(true);
    settle().await;
    assert_eq!(*scene.store.refunds.lock().unwrap(), (0, 32));
    for subject in &subjects {
        assert_eq!(scene.free_of(subject).await, LIMIT - 1);
    }
}

#[tokio::test]
async fn beyond_its_subjects_a_process_draws_nothing_ahead() {
    let scene = Scene::new();
    let (shared, two) = (&scene.limiter.0.limiter, NonZeroU32::new(2).unwrap());
    let limiter = PrepaidLimiter::for_subjects(2, shared, two, LEASE).unwrap();
    let check = async |subject| limiter.check_cost(subject, PORTION - 1).await.unwrap();
    for (subject, left) in [
        ("one", LIMIT - PORTION),
        ("two", LIMIT - PORTION),
        ("three", LIMIT - PORTION + 1),
    ] {
        assert!(check(subject).await.is_allowed());
        assert_eq!(scene.free_of(subject).await, left);
    }
    // A subject has one lease, however often it draws.
    for _ in 0..3 {
        assert!(check("one").await.is_allowed());
    }
    assert_eq!(scene.free_of("one").await, LIMIT - 4 * (PORTION - 1) - 1);
    scene.pass(LEASE).await;
    assert!(check("three").await.is_allowed());
    assert_eq!(scene.free_of("three").await, LIMIT - 2 * (PORTION - 1) - 1);
}

#[tokio::test]
async fn a_lease_that_a_later_draw_has_replaced_is_looked_at_again() {
    let scene = Scene::new();
    for _ in 0..2 {
        let decision = scene.limiter.check_cost(WHO, PORTION - 1).await.unwrap();
        assert!(decision.is_allowed());
        scene.pass(LEASE / 2).await;
    }
    let used = 2 * (PORTION - 1);
    assert_eq!(scene.free().await, LIMIT - used - 1);
    scene.pass(LEASE / 2).await;
    assert_eq!(scene.free().await, LIMIT - used);
}

#[tokio::test]
async fn a_limiter_that_is_dropped_gives_back_before_its_leases_end() {
    let Scene {
        clock,
        stored,
        limiter,
        ..
    } = Scene::new();
    assert!(limiter.check(WHO).await.unwrap().is_allowed());
    // Whoever waits for the end of the lease does so by now.
    settle().await;
    let before = clock.now();
    drop(limiter);
    settle().await;
    assert_eq!(stored.peek(WHO).await.unwrap().remaining(), LIMIT - 1);
    assert_eq!(clock.now(), before);
}

#[test]
fn what_was_not_used_comes_back_though_the_runtime_that_drew_it_has_ended() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let scene = Scene::new();
    let source = runtime().block_on(async {
        let source = scene.source().await;
        settle().await;
        source
    });
    assert_eq!(source, Source::Store);
    runtime().block_on(async {
        assert!(scene.limiter.check("bob").await.unwrap().is_allowed());
        settle().await;
        scene.pass(LEASE).await;
        assert_eq!(
            (scene.free().await, scene.free_of("bob").await),
            (LIMIT - 1, LIMIT - 1)
        );
    });
}

#[tokio::test]
async fn what_cannot_be_given_back_is_counted() {
    let scene = Scene::new();
    assert_eq!(scene.source().await, Source::Store);
    scene.pass(LEASE).await;
    assert_eq!(scene.lost(), 0);
    assert_eq!(scene.source().await, Source::Store);
    scene.store.is_down.store(true, Ordering::Relaxed);
    scene.pass(LEASE).await;
    assert_eq!(scene.lost(), PORTION - 1);
    scene.store.is_down.store(false, Ordering::Relaxed);
    assert_eq!(scene.free().await, LIMIT - 1 - PORTION);
}

#[test]
fn what_is_held_when_there_is_no_runtime_any_more_is_counted() {
    let scene = Scene::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let source = runtime.unwrap().block_on(scene.source());
    assert_eq!(source, Source::Store);
    let Scene {
        limiter, counters, ..
    } = scene;
    drop(limiter);
    assert_eq!(counters.of(LOST, &["ingest"]), PORTION - 1);
}
