//! The service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::SessionRejection;
use super::layer::Terms;
use super::visit::Visit;

/// A service whose requests have sessions; made by [`SessionLayer`](super::SessionLayer).
pub struct SessionService<S, T> {
    inner: S,
    terms: Arc<Terms<T>>,
}

impl<S, T> SessionService<S, T> {
    pub(super) fn new(inner: S, terms: Arc<Terms<T>>) -> Self {
        Self { inner, terms }
    }
}

type Responding<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, T, B, R> Service<Request<B>> for SessionService<S, T>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    T: Clone + Send + Sync + 'static,
    B: Send + 'static,
    R: From<String> + Send,
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
        let (mut parts, body) = request.into_parts();
        let visit = Arc::new(Visit::new(Arc::clone(&self.terms), &parts));
        parts.extensions.insert(Arc::clone(&visit));
        Box::pin(async move {
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            if let Err(error) = visit.tell(response.headers_mut()).await {
                return Ok(SessionRejection::Failed(error).response());
            }
            Ok(response)
        })
    }
}

impl<S: Clone, T> Clone for SessionService<S, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            terms: Arc::clone(&self.terms),
        }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for SessionService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
