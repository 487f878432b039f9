//! A service with three kinds of limits: all requests of a client, attempts to log in, exports at a time.

mod export;
mod login;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use mainstay::http::limit::{ClientAddress, LimitLayer};
use mainstay::ratelimit::{Limiter, Policy, WhenDown};
use mainstay::{Error, ErrorKind, Mainstay};

/// What the handlers decide by.
#[derive(Debug)]
struct Limits {
    clients: ClientAddress,
    logins: Limiter,
    exports: Limiter,
}

/// What a handler answers when the limiter does not: an account that is no key is the client's mistake.
fn undecided(error: &Error) -> (StatusCode, String) {
    let status = match error.kind() {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{error}\n"))
}

/// The service, behind proxies at these addresses.
///
/// # Errors
/// [`Invalid`](mainstay::ErrorKind::Invalid) for what is no address or network.
pub fn app(stay: &Mainstay, proxies: &[&str]) -> mainstay::Result<Router> {
    // Every client: ten a second, twenty at once. While Redis is away each of four instances lets a
    // quarter of it through: the service goes on.
    let requests = stay
        .limiter(Policy::gcra("requests", 10, Duration::from_secs(1), 20)?)
        .when_down(WhenDown::Local(4.try_into().expect("not zero")))?;
    let clients = ClientAddress::behind(proxies.iter().copied())?;

    // Passwords: five wrong ones an hour for an account, fifty an hour from an address. While Redis is
    // away nobody logs in.
    let logins = stay
        .limiter(Policy::exact("logins", 5, Duration::from_hours(1))?)
        .and(Policy::window("logins-from", 50, Duration::from_hours(1))?)?
        .when_down(WhenDown::Closed)?;

    // Two exports of an account at a time, twenty a day by the clock of the office.
    let exports = stay
        .limiter(Policy::concurrent("exports", 2, Duration::from_secs(30))?)
        .and(Policy::fixed(
            "exports-a-day",
            20,
            mainstay::ratelimit::Unit::Day,
            "Europe/Berlin",
        )?)?;

    Ok(Router::new()
        .route("/login", post(login::login))
        .route("/export", post(export::export))
        .route("/", get(async || "hello\n"))
        .with_state(Arc::new(Limits {
            clients: clients.clone(),
            logins,
            exports,
        }))
        .layer(LimitLayer::new(requests, clients)?))
}
