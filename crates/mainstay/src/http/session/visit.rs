//! What one request knows of its session, and what its response tells.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, header::USER_AGENT};
use tokio::sync::Mutex as AsyncMutex;

use super::layer::Terms;
use crate::backend::unpoisoned::lock;
use crate::error::Result;
use crate::session::{Device, Session, SessionId};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// One request; all who ask for its session share it.
pub(super) struct Visit<T> {
    terms: Arc<Terms<T>>,
    agent: Option<HeaderValue>,
    address: Option<IpAddr>,
    via: Via,
    known: AsyncMutex<Known<T>>,
    reply: Mutex<Reply>,
}

/// How the request shows its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Cookie,
    /// No browser adds it by itself.
    Bearer,
}

/// What is known of the request's session.
enum Known<T> {
    /// Nobody has asked; the id that the request shows.
    Unasked(Option<SessionId>),
    Asked(Option<Present<T>>),
}

/// A valid session, and the id that it has now.
#[derive(Debug)]
pub(super) struct Present<T> {
    pub(super) id: SessionId,
    /// As it was asked for.
    pub(super) asked: SessionId,
    pub(super) session: Arc<Session<T>>,
}

impl<T> Clone for Present<T> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            asked: self.asked.clone(),
            session: Arc::clone(&self.session),
        }
    }
}

impl<T> Present<T> {
    pub(super) fn new(asked: SessionId, session: Session<T>) -> Self {
        Self {
            id: session.renewed.clone().unwrap_or_else(|| asked.clone()),
            asked,
            session: Arc::new(session),
        }
    }
}

/// What the response is to tell.
#[derive(Default)]
struct Reply {
    is_private: bool,
    clears_data: bool,
    cookie: Option<Change>,
}

enum Change {
    /// The id of a log-in.
    Set(SessionId),
    /// The session that was asked for by this id has another, or has ended since.
    Renewed(SessionId),
    Remove,
}

impl<T> Visit<T> {
    pub(super) fn new(terms: Arc<Terms<T>>, request: &Parts) -> Self {
        let bearer = terms
            .takes_bearer
            .then(|| bearer(&request.headers))
            .flatten();
        let via = if bearer.is_some() {
            Via::Bearer
        } else {
            Via::Cookie
        };
        let token = bearer.or_else(|| terms.cookie.value(&request.headers));
        // What nobody here has issued is like nothing.
        let id = token.and_then(|token| terms.sessions.open_token(token).ok());
        let address = terms.address.client(request);
        Self {
            agent: request.headers.get(USER_AGENT).cloned(),
            address,
            terms,
            via,
            known: AsyncMutex::new(Known::Unasked(id)),
            reply: Mutex::default(),
        }
    }

    pub(super) fn terms(&self) -> &Terms<T> {
        &self.terms
    }

    /// Where the request comes from.
    pub(super) fn device(&self) -> Device {
        let mut device = Device::new();
        if let Some(agent) = &self.agent {
            device = device.with_user_agent(&String::from_utf8_lossy(agent.as_bytes()));
        }
        if let Some(address) = self.address {
            device = device.with_address(address);
        }
        device
    }

    pub(super) fn via(&self) -> Via {
        self.via
    }

    /// The response tells of one visitor.
    fn keep_private(&self) {
        lock(&self.reply).is_private = true;
    }

    pub(super) fn tell_to_clear_data(&self) {
        lock(&self.reply).clears_data = true;
    }

    /// The client's id is this from now on; a bearer's client is told by the handler.
    pub(super) fn tell_issued(&self, id: SessionId) {
        if self.via == Via::Cookie {
            lock(&self.reply).cookie = Some(Change::Set(id));
        }
    }

    /// The session that was asked for by this id has another.
    pub(super) fn tell_renewed(&self, id: SessionId) {
        let mut reply = lock(&self.reply);
        // A log-in by this request is the later word.
        let is_free = !matches!(reply.cookie, Some(Change::Set(_) | Change::Remove));
        if self.via == Via::Cookie && is_free {
            reply.cookie = Some(Change::Renewed(id));
        }
    }

    pub(super) fn tell_removed(&self) {
        if self.via == Via::Cookie {
            lock(&self.reply).cookie = Some(Change::Remove);
        }
    }

    /// The session, which is loaded once a request.
    pub(super) async fn present(&self) -> Result<Option<Present<T>>> {
        self.keep_private();
        let mut known = self.known.lock().await;
        let id = match &*known {
            Known::Asked(present) => return Ok(present.clone()),
            Known::Unasked(id) => id.clone(),
        };
        let present = match id {
            None => None,
            Some(id) => {
                let loaded = self.terms.sessions.load(&id).await?;
                loaded.map(|session| {
                    if session.renewed.is_some() {
                        self.tell_renewed(id.clone());
                    }
                    Present::new(id, session)
                })
            }
        };
        *known = Known::Asked(present.clone());
        Ok(present)
    }

    /// What those who ask later are told.
    pub(super) async fn know(&self, present: Option<Present<T>>) {
        *self.known.lock().await = Known::Asked(present);
    }

    /// Adds to the response's header what there is to tell.
    pub(super) async fn tell(&self, headers: &mut HeaderMap) -> Result<()> {
        let reply = std::mem::take(&mut *lock(&self.reply));
        if reply.is_private && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if reply.clears_data {
            let data = HeaderValue::from_static("\"cache\", \"storage\"");
            headers.insert(CLEAR_SITE_DATA, data);
        }
        let Terms {
            sessions, cookie, ..
        } = &*self.terms;
        // A session may have ended while the request was served, and its client may have logged in anew:
        // an id that is good for nothing must not take the place of the new one.
        let cookie = match reply.cookie {
            None => return Ok(()),
            Some(Change::Remove) => cookie.remove()?,
            // Nobody may be told of a log-in, and be given no cookie, as long as it may have worked.
            Some(Change::Set(id)) => {
                let Some(session) = sessions.load(&id).await? else {
                    return Ok(());
                };
                cookie.set(&sessions.token(&id), session.absolute_in)?
            }
            // By the old id, since the grace begins with the first use of the new. It leads on, and the
            // next response tells again: a store that does not answer now takes nothing from anybody.
            Some(Change::Renewed(id)) => {
                let Ok(Some(session)) = sessions.load(&id).await else {
                    return Ok(());
                };
                let Some(id) = session.renewed else {
                    return Ok(());
                };
                cookie.set(&sessions.token(&id), session.absolute_in)?
            }
        };
        headers.append(SET_COOKIE, cookie);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let field = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = field.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| token.trim_start_matches(' '))
}
