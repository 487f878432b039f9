//! A site whose visitors log in.
//!
//! - `account`: who may log in; passwords are hashed (Argon2id).
//! - `pages`: what they see.
//! - `actions`: what they do: log in, take a note, end sessions, confirm the password.
//!
//! Every form carries the session's CSRF token; that of log-in as well, by a visitor's session, so that no
//! other site logs somebody in as somebody else.

mod account;
mod actions;
mod pages;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use mainstay::Mainstay;
use mainstay::http::session::SessionLayer;
use mainstay::session::{Sessions, WhenFull};
use serde::{Deserialize, Serialize};

use account::Accounts;

/// What a session carries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Visit {
    /// What its visitor has written down.
    pub(crate) note: String,
}

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) sessions: Sessions<Visit>,
    pub(crate) accounts: Arc<Accounts>,
    /// How long a password is good for what is secret.
    pub(crate) fresh: Duration,
}

/// The site. What is secret asks for a password that is no older than `fresh`.
///
/// # Errors
/// Fails when the sessions are not defined as they have to be.
pub fn app(stay: &Mainstay, fresh: Duration) -> mainstay::Result<Router> {
    let three = NonZeroU32::new(3).expect("invariant: three is not zero");
    let sessions = stay
        .sessions::<Visit>()
        .idle(Duration::from_mins(30))
        .absolute(Duration::from_hours(12))
        .at_most(three, WhenFull::EndOldest)
        // From a vault, in earnest: the same for all nodes.
        .secret("the tag of a user cannot be told from its name")
        .signed_by(["at least 32 random bytes, from a vault"])
        .build()?;
    let site = Site {
        sessions: sessions.clone(),
        accounts: Arc::new(Accounts::sample()),
        fresh,
    };
    Ok(Router::new()
        .route("/", get(pages::home))
        .route("/secret", get(pages::secret))
        .route("/log-in", post(actions::log_in))
        .route("/log-out", post(actions::log_out))
        .route("/log-out-everywhere", post(actions::log_out_everywhere))
        .route("/log-out-elsewhere", post(actions::log_out_elsewhere))
        .route("/end", post(actions::end))
        .route("/note", post(actions::note))
        .route("/confirm", post(actions::confirm))
        .layer(SessionLayer::new(sessions))
        .with_state(site))
}
