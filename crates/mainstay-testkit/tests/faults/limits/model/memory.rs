//! The memory backend, by a clock that the steps set.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mainstay::clock::{Clock, Moment};
use mainstay::ratelimit::{Decision, Entry, Limiter, Permit, Policy, RetryAfter, Unit};
use mainstay::{Mainstay, Options};
use mainstay_testkit::oracle::limit::{LimitRule, Limits, Said, micros};
use tokio::runtime::{Builder, Runtime};

const WHO: &str = "somebody";

#[derive(Debug, Default)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> Moment {
        Moment::default()
    }

    fn unix(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _deadline: Moment) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

pub(super) struct Memory {
    /// Never runs: no permit is renewed.
    runtime: Option<Runtime>,
    clock: Arc<SetClock>,
    stay: Mainstay,
    limiter: Limiter,
    decisions: HashMap<u32, Decision>,
    permits: HashMap<u32, Permit>,
}

impl Memory {
    pub(super) fn new(rule: LimitRule) -> Self {
        let clock = Arc::new(SetClock::default());
        let options = Options::new().clock(Arc::clone(&clock) as _);
        let stay = at_once(options.connect("memory:")).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        Self {
            runtime: Some(runtime),
            limiter: stay.limiter(policy(rule)),
            stay,
            clock,
            decisions: HashMap::new(),
            permits: HashMap::new(),
        }
    }

    fn within<T>(&mut self, answer: impl AsyncFnOnce(&mut Self) -> T) -> T {
        let handle = self.runtime.as_ref().unwrap().handle().clone();
        let _within = handle.enter();
        at_once(answer(self))
    }

    fn set(&self, now: u64) {
        self.clock.0.store(now, Ordering::SeqCst);
    }

    async fn decide(&mut self, cost: u64, charges: bool, id: u32) -> Decision {
        let call = self.limiter.call(WHO).cost(cost);
        let is_concurrent = self.limiter.policies().iter().any(Policy::is_concurrent);
        // Nobody enters for nothing.
        if !charges || is_concurrent && cost == 0 {
            return call.peek().await.unwrap();
        }
        let decision = if is_concurrent {
            match call.enter().await.unwrap() {
                Entry::Entered(permit) => {
                    let decision = permit.decision().clone();
                    self.permits.insert(id, permit);
                    decision
                }
                Entry::Denied(decision) => decision,
            }
        } else {
            call.check().await.unwrap()
        };
        self.decisions.insert(id, decision.clone());
        decision
    }

    async fn give_back(&mut self, cost: u64, id: u32) -> bool {
        if let Some(permit) = self.permits.remove(&id) {
            return permit.leave().await.unwrap();
        }
        let decision = self.decisions.remove(&id).unwrap();
        let call = self.limiter.call(WHO).cost(cost);
        call.refund(&decision).await.unwrap()
    }
}

impl Limits for Memory {
    fn change(&mut self, rule: LimitRule) {
        self.limiter = self.stay.limiter(policy(rule));
    }

    fn call(&mut self, now: u64, cost: u64, charges: bool, id: u32) -> Said {
        self.set(now);
        let decision = self.within(async |memory| memory.decide(cost, charges, id).await);
        said(&decision)
    }

    fn refund(&mut self, now: u64, _at: u64, cost: u64, id: u32) -> bool {
        self.set(now);
        self.within(async |memory| memory.give_back(cost, id).await)
    }

    fn reset(&mut self) {
        self.within(async |memory| memory.limiter.reset(WHO).await.unwrap());
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn at_once<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("memory answers at once")
}

fn said(decision: &Decision) -> Said {
    Said {
        admitted: decision.is_allowed(),
        remaining: decision.remaining(),
        retry: match decision.retry_after() {
            Some(RetryAfter::After(wait)) => Some(micros(wait)),
            Some(RetryAfter::Never) | None => None,
        },
        reset: micros(decision.reset_after()),
    }
}

fn policy(rule: LimitRule) -> Policy {
    let long = Duration::from_micros;
    match rule {
        LimitRule::Window { limit, period } => Policy::window("p", limit, long(period)),
        LimitRule::Exact { limit, period } => Policy::exact("p", limit, long(period)),
        LimitRule::Concurrent { limit, lease } => Policy::concurrent("p", limit, long(lease)),
        LimitRule::Gcra {
            limit,
            period,
            burst,
        } => Policy::gcra("p", limit, long(period), burst),
        LimitRule::Fixed { limit, period } => {
            let unit = match period {
                1_000_000 => Unit::Second,
                60_000_000 => Unit::Minute,
                3_600_000_000 => Unit::Hour,
                other => panic!("no window of the calendar is {other} us long"),
            };
            Policy::fixed("p", limit, unit, "UTC")
        }
    }
    .unwrap()
}
