//! Log-ins: only the wrong ones count.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use mainstay::ratelimit::RetryAfter;
use serde::Deserialize;

use crate::{Limits, undecided};

#[derive(Deserialize)]
pub(crate) struct Credentials {
    account: String,
    password: String,
}

/// Charged before the password is looked at, so that many attempts at once get no further than one after
/// the other; a right one is given back.
pub(crate) async fn login(
    State(limits): State<Arc<Limits>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(credentials): Form<Credentials>,
) -> (StatusCode, String) {
    // As the layer counts requests: the peer alone is the proxy, and IPv6 goes by network.
    let from = limits.clients.subject(peer.ip(), &headers);
    let subjects = [&credentials.account, &from];
    let attempt = match limits.logins.call_each(&subjects).check().await {
        Ok(attempt) => attempt,
        Err(error) => return undecided(&error),
    };
    if let Some(wait) = attempt.retry_after() {
        let wait = match wait {
            RetryAfter::After(wait) => wait.as_secs() + 1,
            RetryAfter::Never => u64::MAX,
        };
        let policy = &attempt.tightest().policy;
        let message = format!("too many attempts ({policy}): come back in {wait} s\n");
        return (StatusCode::TOO_MANY_REQUESTS, message);
    }
    if credentials.password != "open sesame" {
        return (StatusCode::UNAUTHORIZED, "wrong password\n".to_owned());
    }
    // What cannot be given back counts as wrong: annoying, not dangerous.
    let _given_back = limits.logins.call_each(&subjects).refund(&attempt).await;
    (
        StatusCode::OK,
        format!("welcome, {}\n", credentials.account),
    )
}
