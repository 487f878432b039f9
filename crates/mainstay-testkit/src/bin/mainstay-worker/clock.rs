//! Clocks of a worker whose wall clock a test may move.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use mainstay::clock::{Clock, Moment, SystemClock};

/// The system's clocks, but the wall clock as the C library tells it, which a test can replace.
#[derive(Debug)]
pub(super) struct WorkerClock;

impl Clock for WorkerClock {
    fn now(&self) -> Moment {
        SystemClock.now()
    }

    #[expect(clippy::disallowed_methods, reason = "mainstay's own asks the kernel")]
    fn unix(&self) -> Duration {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn sleep_until(&self, deadline: Moment) -> BoxFuture<'static, ()> {
        SystemClock.sleep_until(deadline)
    }
}

/// Since the machine was started: the same in all processes, and moved by nobody.
pub(super) fn since_boot_micros() -> Result<u64, std::num::TryFromIntError> {
    let since_boot = SystemClock.now().since(Moment::default());
    u64::try_from(since_boot.as_micros())
}
