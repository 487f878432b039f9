//! What a process does with what it holds when callers, the store or the runtime let it down.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::PrepaidLimiter;
use crate::backend::memory;
use crate::clock::{Clock, ManualClock, Moment, TIMER_LAG};
use crate::key::Keyspace;
use crate::ratelimit::{Limiter, Policy, Source};

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

struct Scene {
    clock: ManualClock,
    limiter: PrepaidLimiter,
}

impl Scene {
    fn new() -> Self {
        let clock = ManualClock::new();
        let timed: Arc<dyn Clock> = Arc::new(LateTimer(clock.clone()));
        let limiter = Limiter::new(
            memory::limits(Arc::clone(&timed)),
            memory::limits(Arc::clone(&timed)),
            Keyspace::default(),
            timed,
            Duration::from_secs(3),
            Policy::window("ingest", LIMIT, PERIOD).unwrap(),
        );
        let limiter = limiter.prepaid(NonZeroU32::new(2).unwrap(), LEASE).unwrap();
        assert_eq!(limiter.portion(), PORTION);
        Self { clock, limiter }
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
