use mainstay::Mainstay;
use mainstay_server::{ApiKeyHash, Config, run};
use reqwest::Method;
use tokio::net::TcpListener;

use crate::raw::exchange;
use crate::server::{Server, header, problem};

#[tokio::test]
async fn with_api_keys_everything_but_the_probes_wants_one() {
    let server = Server::with(|config| {
        config.api_keys = vec![ApiKeyHash::of("first"), ApiKeyHash::of("second")];
    })
    .await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(server.get(path).await.status(), 200);
    }
    for path in ["/", "/metrics", "/readyz?verbose", "/v1/cache/c/k", "/nope"] {
        let refused = server.get(path).await;
        let challenge = header(&refused, "www-authenticate");
        assert_eq!(challenge, Some("ApiKey realm=\"mainstay\""), "{path}");
        problem(refused, 401, "api_key_required").await;
    }
    let status = async |key: &str| {
        let request = server.request(Method::GET, "/").header("X-Api-Key", key);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("first").await, 200);
    assert_eq!(status("second").await, 200);
    assert_eq!(status("third").await, 401);
    assert_eq!(status("").await, 401);
}

#[tokio::test]
async fn a_name_that_was_rebound_to_loopback_is_refused() {
    let server = Server::with(|config| config.allowed_hosts.push("plant.example".into())).await;
    let port = server.address.port();
    let status = async |line: String| {
        let request = format!("GET /livez HTTP/1.1\r\n{line}Connection: close\r\n\r\n");
        let answer = exchange(server.address, request.as_bytes()).await;
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for host in [
        "localhost",
        "127.0.0.1",
        "127.3.2.1",
        "[::1]",
        "plant.example",
    ] {
        assert_eq!(status(format!("Host: {host}\r\n")).await, "200", "{host}");
        assert_eq!(
            status(format!("Host: {host}:{port}\r\n")).await,
            "200",
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "",
        "x@localhost",
    ] {
        assert_eq!(status(format!("Host: {host}\r\n")).await, "403", "{host}");
    }
    assert_eq!(status(String::new()).await, "403");
    let two = "Host: localhost\r\nHost: evil.example\r\n".to_owned();
    assert_ne!(status(two).await, "200");
}

#[tokio::test]
async fn a_page_of_another_site_is_refused() {
    let server = Server::with(|config| config.allowed_hosts.push("plant.example".into())).await;
    let from = async |origin: &str| {
        let request = server.request(Method::PUT, "/v1/cache/c/k");
        request.header("Origin", origin).send().await.unwrap()
    };
    for origin in [
        "http://localhost:3000",
        "https://plant.example",
        "http://[::1]:1",
    ] {
        assert_eq!(from(origin).await.status(), 204, "{origin}");
    }
    for origin in [
        "https://evil.example",
        "null",
        "",
        "file://localhost",
        "localhost",
    ] {
        problem(from(origin).await, 403, "origin_not_allowed").await;
    }
    let refused = server
        .request(Method::GET, "/")
        .header("Host", "evil.example");
    problem(refused.send().await.unwrap(), 403, "host_not_allowed").await;
}

#[tokio::test]
async fn without_keys_no_other_machine_is_served() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let never = std::future::pending();
    let refused = run(listener, Mainstay::memory(), Config::default(), never).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!(
            "refusing to listen on {address} without authentication: \
             configure at least one API key, or listen on 127.0.0.1"
        )
    );
}

#[tokio::test]
async fn an_impossible_configuration_is_refused() {
    let refused = async |change: fn(&mut Config)| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::default();
        change(&mut config);
        let ended = run(listener, Mainstay::memory(), config, std::future::pending()).await;
        ended.unwrap_err().to_string()
    };
    assert_eq!(
        refused(|config| config.sessions.idle = config.sessions.absolute * 2).await,
        "the configuration of sessions is not valid"
    );
    assert_eq!(
        refused(|config| config.request_timeout = std::time::Duration::ZERO).await,
        "request_timeout is zero: no request could be answered"
    );
}
