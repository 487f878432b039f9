//! The service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tower_service::Service;

use super::layer::Terms;
use super::{headers, problem};
use crate::error::{ErrorKind, Result};
use crate::ratelimit::Decision;

/// Whom requests count for that do not say.
const NOBODY: &str = "-";

/// A service whose requests are limited; made by [`LimitLayer`](super::LimitLayer).
#[derive(Clone)]
pub struct LimitService<S> {
    inner: S,
    terms: Arc<Terms>,
}

impl<S> LimitService<S> {
    pub(super) fn new(inner: S, terms: Arc<Terms>) -> Self {
        Self { inner, terms }
    }
}

impl Terms {
    /// The decision, and the subject that it is on.
    async fn decide(&self, request: &Parts) -> Result<(Decision, String)> {
        let key = self.key.key(request).filter(|key| !key.is_empty());
        let key = key.unwrap_or_else(|| NOBODY.to_owned());
        let cost = (self.cost)(request);
        let decision = match self.limiter.check_cost(&key, cost).await {
            // A key that is none, such as one that is too long, is like none.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                self.limiter.check_cost(NOBODY, cost).await?
            }
            decided => decided?,
        };
        Ok((decision, key))
    }

    fn tell<B>(&self, response: &mut Response<B>, decision: &Decision, key: &str) {
        let fields = response.headers_mut();
        let key = self.tells_key.then_some(key);
        headers::set(fields, self.limiter.policies(), decision, key);
        if self.has_legacy {
            headers::set_legacy(fields, decision);
        }
    }
}

type Responding<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, B, R> Service<Request<B>> for LimitService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Responding<Self::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is called; the clone may not be.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let terms = Arc::clone(&self.terms);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let (decision, key) = match terms.decide(&parts).await {
                Ok(decided) => decided,
                Err(error) => {
                    tracing::warn!(%error, "a request's limit was not checked: it is refused");
                    return Ok(problem::undecided());
                }
            };
            let mut response = if decision.is_allowed() {
                inner.call(Request::from_parts(parts, body)).await?
            } else {
                problem::denied(&decision)
            };
            terms.tell(&mut response, &decision, &key);
            Ok(response)
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for LimitService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitService")
            .field("inner", &self.inner)
            .field("limiter", &self.terms.limiter)
            .finish_non_exhaustive()
    }
}
