//! The answer of a limiter.

use std::time::Duration;

use crate::backend::Take;

/// Whether a call is within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Decision {
    /// The call fits and was charged.
    Allowed {
        /// The policy's limit.
        limit: u32,
        /// What is left after this call.
        remaining: u32,
        /// Until nothing is counted any more.
        reset_after: Duration,
        /// The store's clock at the decision, since 1970.
        decided_at: Duration,
    },
    /// The call does not fit; nothing was charged.
    Denied {
        /// The policy's limit.
        limit: u32,
        /// What is left for cheaper calls.
        remaining: u32,
        /// When the same call would fit.
        retry_after: RetryAfter,
        /// Until nothing is counted any more.
        reset_after: Duration,
        /// The store's clock at the decision, since 1970.
        decided_at: Duration,
    },
}

/// When a denied call would fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// After this long, exact to the millisecond, if nobody else is admitted in between.
    After(Duration),
    /// Never: the cost is above the limit.
    Never,
}

impl Decision {
    /// True for [`Decision::Allowed`].
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    pub(super) fn new(limit: u32, take: &Take) -> Self {
        if take.admitted {
            return Self::Allowed {
                limit,
                remaining: take.remaining,
                reset_after: take.reset_after,
                decided_at: take.at,
            };
        }
        Self::Denied {
            limit,
            remaining: take.remaining,
            retry_after: take
                .retry_after
                .map_or(RetryAfter::Never, RetryAfter::After),
            reset_after: take.reset_after,
            decided_at: take.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_without_a_time_means_never() {
        let take = Take {
            admitted: false,
            remaining: 3,
            retry_after: None,
            reset_after: Duration::from_secs(2),
            at: Duration::from_secs(9),
        };
        let expected = Decision::Denied {
            limit: 5,
            remaining: 3,
            retry_after: RetryAfter::Never,
            reset_after: Duration::from_secs(2),
            decided_at: Duration::from_secs(9),
        };
        assert_eq!(Decision::new(5, &take), expected);
        assert!(!expected.is_allowed());
    }
}
