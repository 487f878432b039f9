//! `CLOCK_BOOTTIME` without asking the time stamp counter, which costs as much as a look-up.
//!
//! The kernel keeps coarse forms of its monotonic and wall clocks, moved by the timer's tick, but
//! none of the one that counts suspend. How far that is ahead of the monotonic clock changes only
//! while the machine is suspended; the wall clock then runs ahead by as much. So the distance of
//! the two coarse clocks tells when to look again.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_getres, clock_gettime};

/// How far the wall clock may drift before this looks again: more than two ticks at 100 Hz, and
/// far less than what it matters for.
const STEP: u64 = 25_000_000;

/// What was seen at the last look.
struct Looks {
    /// How far the clock that counts suspend is ahead of the monotonic one, and a tick on top.
    ahead: AtomicU64,
    /// How far the wall clock was ahead of the monotonic one then.
    wall_ahead: AtomicU64,
}

/// No wall clock is ever that far ahead: the first look is one.
static LOOKS: Looks = Looks {
    ahead: AtomicU64::new(0),
    wall_ahead: AtomicU64::new(u64::MAX / 2),
};

/// Nanoseconds since the machine was started, suspend included; at most two ticks too many.
#[inline]
pub(super) fn boottime() -> u64 {
    LOOKS.boottime()
}

impl Looks {
    #[inline]
    fn boottime(&self) -> u64 {
        let monotonic = read(ClockId::MonotonicCoarse);
        let wall_ahead = read(ClockId::RealtimeCoarse).wrapping_sub(monotonic);
        let drift = wall_ahead.wrapping_sub(self.wall_ahead.load(Ordering::Acquire));
        if drift.wrapping_add(STEP) > 2 * STEP {
            self.look_again(wall_ahead);
        }
        monotonic.wrapping_add(self.ahead.load(Ordering::Acquire))
    }

    #[cold]
    fn look_again(&self, wall_ahead: u64) {
        let suspended = read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic));
        let tick = clock_getres(ClockId::MonotonicCoarse);
        let tick = tick.tv_nsec.unsigned_abs();
        self.ahead
            .store(suspended.wrapping_add(tick), Ordering::Release);
        // Last: a suspend in between makes the next look see that this one is out of date.
        self.wall_ahead.store(wall_ahead, Ordering::Release);
    }
}

#[inline]
fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = time.tv_sec.unsigned_abs();
    seconds * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_neither_before_the_exact_clock_nor_long_after() {
        for _ in 0..100_000 {
            let before = read(ClockId::Boottime);
            let coarse = boottime();
            let after = read(ClockId::Boottime);
            // As late as a busy machine's timer may be.
            assert!(coarse + 250_000_000 > before, "{coarse} is before {before}");
            assert!(coarse < after + 2 * STEP, "{coarse} is after {after}");
        }
    }

    #[test]
    fn a_suspend_is_noticed_by_the_wall_clock() {
        const HOUR: u64 = 3_600_000_000_000;
        let looks = Looks {
            ahead: AtomicU64::new(0),
            wall_ahead: AtomicU64::new(u64::MAX / 2),
        };
        let before = looks.boottime();
        // As if the machine had slept for an hour since the last look.
        looks
            .ahead
            .store(0_u64.wrapping_sub(HOUR), Ordering::SeqCst);
        looks.wall_ahead.fetch_sub(HOUR, Ordering::SeqCst);
        assert!(looks.boottime() >= before);
    }
}
