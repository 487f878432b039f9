//! Numbers that only rise: fences of locks, epochs of users.

use std::time::Duration;

/// The number after `last`: at least the wall clock in microseconds, so that numbers keep rising
/// after a restart has lost the last one.
pub(super) fn next_number(last: Option<u64>, unix: Duration) -> u64 {
    let clock = u64::try_from(unix.as_micros()).unwrap_or(u64::MAX);
    last.map_or(clock, |last| clock.max(last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_though_the_clock_steps_back() {
        assert_eq!(next_number(None, Duration::from_secs(1)), 1_000_000);
        assert_eq!(next_number(Some(5), Duration::from_secs(1)), 1_000_000);
        assert_eq!(
            next_number(Some(1_000_000), Duration::from_secs(1)),
            1_000_001
        );
        assert_eq!(
            next_number(Some(9_000_000), Duration::from_secs(1)),
            9_000_001
        );
    }
}
