//! The limiters that a layer can ask.

use self::sealed::{Asked, Sealed};
use crate::error::Result;
use crate::ratelimit::{Decision, Limiter, Policy, PrepaidLimiter};

/// A limiter that a [`LimitLayer`](super::LimitLayer) can ask: a [`Limiter`] or a [`PrepaidLimiter`].
pub trait RequestLimiter: Sealed {}

impl RequestLimiter for Limiter {}

impl RequestLimiter for PrepaidLimiter {}

pub(super) mod sealed {
    use crate::ratelimit::{Limiter, PrepaidLimiter};

    /// Keeps the kinds of limiters to those that are known.
    pub trait Sealed {
        /// As one type: a layer's own does not depend on it, and no check needs a boxed future.
        fn asked(self) -> Asked;
    }

    /// Either limiter.
    #[derive(Debug, Clone)]
    pub enum Asked {
        /// In the store.
        Plain(Limiter),
        /// By units that were paid ahead.
        Prepaid(PrepaidLimiter),
    }

    impl Sealed for Limiter {
        fn asked(self) -> Asked {
            Asked::Plain(self)
        }
    }

    impl Sealed for PrepaidLimiter {
        fn asked(self) -> Asked {
            Asked::Prepaid(self)
        }
    }
}

impl Asked {
    pub(super) async fn check_cost(&self, subject: &str, cost: u64) -> Result<Decision> {
        match self {
            Self::Plain(limiter) => limiter.check_cost(subject, cost).await,
            Self::Prepaid(limiter) => limiter.check_cost(subject, cost).await,
        }
    }

    pub(super) fn policies(&self) -> &[Policy] {
        match self {
            Self::Plain(limiter) => limiter.policies(),
            Self::Prepaid(limiter) => std::slice::from_ref(limiter.policy()),
        }
    }
}
