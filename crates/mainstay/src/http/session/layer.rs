//! The layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::{SessionCookie, SessionService};
use crate::http::limit::ClientAddress;
use crate::session::Sessions;

/// Gives the requests of a service their sessions, and clients their cookies.
pub struct SessionLayer<T> {
    terms: Arc<Terms<T>>,
}

/// How sessions are found.
pub(super) struct Terms<T> {
    pub(super) sessions: Sessions<T>,
    pub(super) cookie: SessionCookie,
    pub(super) takes_bearer: bool,
    pub(super) address: ClientAddress,
}

impl<T> SessionLayer<T> {
    /// Sessions by the default cookie, or as a bearer token.
    pub fn new(sessions: Sessions<T>) -> Self {
        Self {
            terms: Arc::new(Terms {
                sessions,
                cookie: SessionCookie::default(),
                takes_bearer: true,
                address: ClientAddress::of_peer(),
            }),
        }
    }

    /// Another cookie.
    #[must_use]
    pub fn cookie(self, cookie: SessionCookie) -> Self {
        self.with(|terms| terms.cookie = cookie)
    }

    /// Takes no bearer tokens: the cookie alone counts.
    #[must_use]
    pub fn without_bearer(self) -> Self {
        self.with(|terms| terms.takes_bearer = false)
    }

    /// How the network of a device is told, behind proxies.
    #[must_use]
    pub fn address(self, address: ClientAddress) -> Self {
        self.with(|terms| terms.address = address)
    }

    fn with(self, change: impl FnOnce(&mut Terms<T>)) -> Self {
        let mut terms = Terms {
            sessions: self.terms.sessions.clone(),
            cookie: self.terms.cookie.clone(),
            takes_bearer: self.terms.takes_bearer,
            address: self.terms.address.clone(),
        };
        change(&mut terms);
        Self {
            terms: Arc::new(terms),
        }
    }
}

impl<S, T> Layer<S> for SessionLayer<T> {
    type Service = SessionService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.terms))
    }
}

impl<T> Clone for SessionLayer<T> {
    fn clone(&self) -> Self {
        Self {
            terms: Arc::clone(&self.terms),
        }
    }
}

impl<T> fmt::Debug for SessionLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("cookie", &self.terms.cookie)
            .finish_non_exhaustive()
    }
}
