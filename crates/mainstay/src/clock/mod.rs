//! Time, injected: the system's clocks, or one that a test moves by hand.

#[cfg(target_os = "linux")]
mod coarse;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// A point on a clock that never goes back and counts time spent suspended.
///
/// Comparable only with moments of the same clock on the same machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Since the clock's start: enough for 584 years.
    nanos: u64,
}

impl Moment {
    /// The moment `duration` later.
    #[must_use]
    #[inline]
    pub fn after(self, duration: Duration) -> Self {
        Self {
            nanos: self.nanos.saturating_add(nanos(duration)),
        }
    }

    /// How long this is after `earlier`; zero when it is not.
    #[inline]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }

    /// Nanoseconds since the clock's start.
    #[inline]
    pub(crate) fn as_nanos(self) -> u64 {
        self.nanos
    }
}

/// Whole nanoseconds; more than 584 years count as that.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How late the system's timer may be for [`Clock::coarse`] to be relied upon.
pub const TIMER_LAG: Duration = Duration::from_millis(250);

/// Where mainstay reads the time.
///
/// # Behaviour
/// `now` never goes back: times to live and deadlines are counted on it. `unix` is the wall clock:
/// the memory backend cuts rate limit windows and starts fences and epochs by it; it is never
/// compared with another machine's.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current moment.
    fn now(&self) -> Moment;

    /// A moment that is not before [`now`](Self::now) was, and at most a few ticks of the
    /// system's timer after it, as cheap to read as it can be.
    ///
    /// May be behind by as long as the system's timer is late, which [`TIMER_LAG`] allows for.
    #[inline]
    fn coarse(&self) -> Moment {
        self.now()
    }

    /// Time since 1970-01-01 00:00 UTC.
    fn unix(&self) -> Duration;

    /// Completes when `now` reaches `deadline`. Cancel safe.
    fn sleep_until(&self, deadline: Moment) -> BoxFuture<'static, ()>;
}

/// The system's clocks; `now` is `CLOCK_BOOTTIME` on Linux.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    #[cfg(target_os = "linux")]
    const MONOTONIC: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const MONOTONIC: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

    fn read(id: rustix::time::ClockId) -> Duration {
        Duration::try_from(rustix::time::clock_gettime(id)).unwrap_or(Duration::ZERO)
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Moment {
        let time = rustix::time::clock_gettime(Self::MONOTONIC);
        // The kernel's monotonic clocks start at zero.
        let seconds = time.tv_sec.unsigned_abs();
        Moment {
            nanos: seconds * 1_000_000_000 + time.tv_nsec.unsigned_abs(),
        }
    }

    #[cfg(target_os = "linux")]
    #[inline]
    fn coarse(&self) -> Moment {
        Moment {
            nanos: coarse::boottime(),
        }
    }

    fn unix(&self) -> Duration {
        Self::read(rustix::time::ClockId::Realtime)
    }

    fn sleep_until(&self, deadline: Moment) -> BoxFuture<'static, ()> {
        // The runtime's timer does not count suspend: sleep in slices and look again.
        const SLICE: Duration = Duration::from_secs(5);
        Box::pin(async move {
            loop {
                let left = deadline.since(Self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(SLICE)).await;
            }
        })
    }
}

/// A clock that stands still until it is told to move; for tests.
///
/// ```
/// use std::time::Duration;
/// use mainstay::clock::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().since(start), Duration::from_secs(90));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    elapsed: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// 2020-01-01 00:00 UTC, where every manual clock starts.
    const EPOCH: Duration = Duration::from_secs(1_577_836_800);

    /// A clock that stands at 2020-01-01.
    #[must_use]
    pub fn new() -> Self {
        Self {
            elapsed: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// Moves the clock forward and wakes what sleeps on it.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment {
            nanos: nanos(*self.elapsed.borrow()),
        }
    }

    fn unix(&self) -> Duration {
        Self::EPOCH + *self.elapsed.borrow()
    }

    fn sleep_until(&self, deadline: Moment) -> BoxFuture<'static, ()> {
        let mut elapsed = self.elapsed.subscribe();
        let clock = self.clone();
        Box::pin(async move {
            while clock.now() < deadline {
                if elapsed.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_only_when_the_clock_reaches_it() {
        let clock = ManualClock::new();
        let mut sleep = clock.sleep_until(clock.now().after(Duration::from_secs(10)));
        clock.advance(Duration::from_secs(9));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        sleep.await;
    }
}
