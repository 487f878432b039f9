//! The layer.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use tower_layer::Layer;

use super::{LimitService, RequestKey};
use crate::ratelimit::Limiter;

/// Limits the requests of a service.
#[derive(Clone)]
pub struct LimitLayer {
    pub(super) terms: Arc<Terms>,
}

/// By what a service decides.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) limiter: Limiter,
    pub(super) key: Arc<dyn RequestKey>,
    pub(super) cost: Arc<dyn Fn(&Parts) -> u64 + Send + Sync>,
    pub(super) tells_key: bool,
    pub(super) has_legacy: bool,
}

impl LimitLayer {
    /// Limits each request to what the limiter allows to its subject. Policies of concurrent calls are
    /// not for this: requests are refused then.
    pub fn new(limiter: Limiter, key: impl RequestKey) -> Self {
        Self {
            terms: Arc::new(Terms {
                limiter,
                key: Arc::new(key),
                cost: Arc::new(|_| 1),
                tells_key: false,
                has_legacy: false,
            }),
        }
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
