//! Pauses between connection attempts: doubling, jittered, capped.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(25);
const MOST: Duration = Duration::from_millis(1_000);

/// Counts failures in a row. The cap keeps recovery within a second of the node's return.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next pause: between half and all of `25 ms * 2^failures`, at most a second.
    pub(super) fn next(&mut self) -> Duration {
        let full = FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(MOST);
        self.failures = self.failures.saturating_add(1);
        full / 2 + crate::random::up_to(full / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_never_pass_the_cap() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..64).map(|_| backoff.next()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2);
        assert!(pauses[10..].iter().all(|p| *p <= MOST && *p >= MOST / 2));
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
