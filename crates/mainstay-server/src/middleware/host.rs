//! Keeps pages of other sites from reaching a server on loopback.
//!
//! A page can point its own host name at 127.0.0.1 (DNS rebinding): its requests then carry that
//! name in `Host`. A page can also send simple requests across sites: they carry its `Origin`.

use std::net::Ipv4Addr;

use axum::extract::{Request, State};
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::problem::Problem;

pub(crate) async fn check(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if app.loopback {
        let allowed = &app.config.allowed_hosts;
        if !hosts_are_allowed(&request, allowed) {
            return Err(refusal(
                "host_not_allowed",
                "the Host of the request is neither localhost nor an allowed host",
            ));
        }
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        if !origins.all(|origin| origin_is_allowed(origin, allowed)) {
            return Err(refusal(
                "origin_not_allowed",
                "the Origin of the request is neither localhost nor an allowed host",
            ));
        }
    }
    Ok(next.run(request).await)
}

fn refusal(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, "Not from there", detail)
}

/// Whatever names the host must be allowed, and something must name it.
fn hosts_are_allowed(request: &Request, allowed: &[String]) -> bool {
    let authority = request.uri().authority().map(|it| Some(it.as_str()));
    let headers = request.headers().get_all(header::HOST);
    let mut named = headers
        .iter()
        .map(|value| value.to_str().ok())
        .chain(authority)
        .peekable();
    let is_allowed =
        |text: Option<&str>| text.is_some_and(|text| authority_is_allowed(text, allowed));
    named.peek().is_some() && named.all(is_allowed)
}

fn origin_is_allowed(origin: &HeaderValue, allowed: &[String]) -> bool {
    origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok())
        .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")))
        .and_then(|uri| uri.into_parts().authority)
        .is_some_and(|authority| authority_is_allowed(authority.as_str(), allowed))
}

fn authority_is_allowed(text: &str, allowed: &[String]) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let loopback = host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    !text.contains('@') && (loopback || allowed.iter().any(|name| name.eq_ignore_ascii_case(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_allowed_names_pass() {
        let allowed = ["plant.example".to_owned()];
        let passes = |text: &str| authority_is_allowed(text, &allowed);
        for good in [
            "localhost",
            "LOCALHOST:7878",
            "127.0.0.1:7878",
            "127.1.2.3",
            "[::1]:1",
            "Plant.Example:80",
        ] {
            assert!(passes(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "localhost@evil.example",
            "x@localhost",
            "[::2]",
        ] {
            assert!(!passes(bad), "{bad}");
        }
    }
}
