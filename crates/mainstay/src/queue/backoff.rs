//! How long a job waits after it has failed.

use std::time::Duration;

/// Doubles with each attempt, up to a longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Backoff {
    /// After this attempt: between a half and all of its pause, so that what has failed together
    /// does not come again together.
    pub(super) fn after(&self, attempt: u32) -> Duration {
        let pause = self.whole(attempt);
        pause / 2 + crate::random::up_to(pause / 2)
    }

    fn whole(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1));
        let pause = doubled.and_then(|times| self.first.checked_mul(times));
        pause.map_or(self.longest, |pause| pause.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
        };
        let pauses = [1, 2, 3, 9, 10, 33, u32::MAX].map(|attempt| backoff.whole(attempt).as_secs());
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300, 300]);
        for attempt in 1..20 {
            let (pause, whole) = (backoff.after(attempt), backoff.whole(attempt));
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?}");
        }
    }
}
