//! The service.

use std::borrow::Cow;
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
use crate::AsKey;
use crate::backend::LIMIT_MAX;
use crate::error::Result;
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
    async fn decide(&self, request: &Parts) -> Result<(Decision, Cow<'static, str>)> {
        // A key that is none, such as one that is too long, is like none.
        let key = self.key.key(request).filter(|key| key.key_text().is_ok());
        let subject = key.map_or(Cow::Borrowed(NOBODY), Cow::Owned);
        let cost = (self.cost)(request).min(LIMIT_MAX);
        let decision = self.limiter.check_cost(&subject, cost).await?;
        Ok((decision, subject))
    }

    fn tell<B>(&self, response: &mut Response<B>, decision: &Decision, subject: &str) {
        let fields = response.headers_mut();
        let key = self.tells_key.then_some(subject);
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
            let (decision, subject) = match terms.decide(&parts).await {
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
            terms.tell(&mut response, &decision, &subject);
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::time::Duration;

    use tower_layer::Layer;

    use super::*;
    use crate::Mainstay;
    use crate::http::limit::{LimitLayer, header_key};

    #[derive(Clone)]
    struct Hello;

    impl Service<Request<()>> for Hello {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Ok(Response::new("hello".to_owned())))
        }
    }

    fn layer(stay: &Mainstay, policy: &str) -> LimitLayer {
        let limiter = stay.limiter(policy.parse().unwrap());
        LimitLayer::new(limiter, header_key("x-api-key")).unwrap()
    }

    /// Status, and the field `RateLimit` without its times.
    async fn ask<S>(service: &mut S, key: &str) -> (u16, String)
    where
        S: Service<Request<()>, Response = Response<String>, Error = Infallible>,
    {
        let request = Request::builder().header("x-api-key", key);
        let response = service.call(request.body(()).unwrap()).await.unwrap();
        let left = response.headers().get("ratelimit");
        let left = left.map_or("", |value| value.to_str().unwrap());
        let is_time = |parameter: &&str| !parameter.starts_with("t=");
        let left: Vec<_> = left.split(';').filter(is_time).collect();
        (response.status().as_u16(), left.join(";"))
    }

    #[tokio::test]
    async fn a_key_that_is_none_is_told_as_the_subject_that_counts_for_it() {
        let api = layer(&Mainstay::memory(), "api=5/1h").partition_key();
        let mut service = api.layer(Hello);
        let too_long = "k".repeat(1_025);
        for (key, left) in [
            ("ada", "\"api\";r=4;pk=:YWRh:"),
            (too_long.as_str(), "\"api\";r=4;pk=:LQ==:"),
            ("", "\"api\";r=3;pk=:LQ==:"),
        ] {
            assert_eq!(ask(&mut service, key).await, (200, left.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_cost_beyond_all_limits_is_denied() {
        let api = layer(&Mainstay::memory(), "api=5/1h").cost(|_| u64::MAX);
        let answer = ask(&mut api.layer(Hello), "ada").await;
        assert_eq!(answer, (429, "\"api\";r=5".to_owned()));
    }

    #[tokio::test]
    async fn a_prepaid_limiter_tells_the_policy_that_it_was_made_of() {
        let stay = Mainstay::memory();
        let limiter = stay.limiter("ingest=8/1m".parse().unwrap());
        let one = 1.try_into().unwrap();
        let prepaid = limiter.prepaid(one, Duration::from_secs(30)).unwrap();
        assert_eq!(prepaid.portion(), 2);
        let key = header_key("x-api-key");
        let mut service = LimitLayer::new(prepaid, key).unwrap().layer(Hello);
        for left in (0..8).rev() {
            let expected = (200, format!("\"ingest\";r={left}"));
            assert_eq!(ask(&mut service, "ada").await, expected);
        }
        let denied = ask(&mut service, "ada").await;
        assert_eq!(denied, (429, "\"ingest\";r=0".to_owned()));
        let request = Request::builder().header("x-api-key", "bob");
        let response = service.call(request.body(()).unwrap()).await.unwrap();
        let policy = &response.headers()["ratelimit-policy"];
        assert_eq!(policy, "\"ingest\";q=8;w=60");
    }
}
