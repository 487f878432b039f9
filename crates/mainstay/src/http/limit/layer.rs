//! The layer.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use tower_layer::Layer;

use super::limiter::sealed::Asked;
use super::{LimitService, RequestKey, RequestLimiter};
use crate::error::{Error, Result};

/// Limits the requests of a service.
#[derive(Clone)]
pub struct LimitLayer {
    pub(super) terms: Arc<Terms>,
}

/// By what a service decides.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) limiter: Asked,
    pub(super) key: Arc<dyn RequestKey>,
    pub(super) cost: Arc<dyn Fn(&Parts) -> u64 + Send + Sync>,
    pub(super) tells_key: bool,
    pub(super) has_legacy: bool,
}

impl LimitLayer {
    /// Limits each request to what the limiter allows to its subject.
    ///
    /// While the limiter's store does not answer, every request gets `503 Service Unavailable`, and waits
    /// for up to the command timeout, 3 s by default, before. A service that is to go on without its
    /// store says what is decided then, by [`Limiter::when_down`](crate::ratelimit::Limiter::when_down). A
    /// prepaid limiter has none: it admits what it has drawn.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a policy gives permits of concurrent calls, which only
    /// a handler can keep: [`enter`](crate::ratelimit::Call::enter) there.
    pub fn new(limiter: impl RequestLimiter, key: impl RequestKey) -> Result<Self> {
        let limiter = limiter.asked();
        if let Some(policy) = limiter.policies().iter().find(|it| it.is_concurrent()) {
            return Err(Error::invalid(format!(
                "policy {policy} gives permits, which no layer keeps: enter in the handler"
            )));
        }
        Ok(Self {
            terms: Arc::new(Terms {
                limiter,
                key: Arc::new(key),
                cost: Arc::new(|_| 1),
                tells_key: false,
                has_legacy: false,
            }),
        })
    }

    /// How much a request costs; 1 without it. More than 2^53 counts as 2^53.
    pub fn cost(self, cost: impl Fn(&Parts) -> u64 + Send + Sync + 'static) -> Self {
        self.with(|terms| terms.cost = Arc::new(cost))
    }

    /// Adds `X-RateLimit-Limit`, `-Remaining` and `-Reset` for clients that know no others.
    pub fn legacy_headers(self) -> Self {
        self.with(|terms| terms.has_legacy = true)
    }

    /// Tells clients the subject that a request counts for, as `pk`; `-` is that of all requests without a
    /// key. Not where keys are a secret.
    pub fn partition_key(self) -> Self {
        self.with(|terms| terms.tells_key = true)
    }

    fn with(self, change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = (*self.terms).clone();
        change(&mut terms);
        Self {
            terms: Arc::new(terms),
        }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitService::new(inner, Arc::clone(&self.terms))
    }
}

impl fmt::Debug for LimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitLayer")
            .field("limiter", &self.terms.limiter)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Mainstay};

    #[test]
    fn a_limiter_of_permits_is_refused() {
        let stay = Mainstay::memory();
        let limiter = stay.limiter("api=5/1m".parse().unwrap());
        let limiter = limiter.and("export=2/30s:concurrent".parse().unwrap());
        let refused = LimitLayer::new(limiter.unwrap(), |_: &Parts| None).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert_eq!(
            refused.to_string(),
            "policy export=2/30s:concurrent gives permits, which no layer keeps: enter in the handler"
        );
    }
}
