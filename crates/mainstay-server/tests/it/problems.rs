use std::time::Duration;

use reqwest::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::raw::{exchange, rest};
use crate::server::{Server, header, problem};

#[tokio::test]
async fn an_unknown_route_is_a_problem() {
    let server = Server::start().await;
    for path in [
        "/nope",
        "/v1",
        "/v1/cache/only",
        "/v1/cache/c/",
        "/v1/cache/c/a/b",
    ] {
        problem(server.get(path).await, 404, "no_such_route").await;
    }
}

#[tokio::test]
async fn a_wrong_method_says_which_are_allowed() {
    let server = Server::start().await;
    for (method, path, allowed) in [
        (Method::PATCH, "/v1/cache/c/k", "GET,HEAD,PUT,DELETE,POST"),
        (Method::GET, "/v1/locks/a:acquire", "POST"),
        (Method::PUT, "/v1/sessions/current", "GET,HEAD,PATCH,DELETE"),
        (Method::GET, "/v1/sessions/current:rotate", "POST"),
        (Method::GET, "/v1/users/u/sessions/h", "DELETE"),
        (Method::DELETE, "/livez", "GET,HEAD"),
    ] {
        let refused = server.request(method, path).send().await.unwrap();
        assert_eq!(header(&refused, "allow"), Some(allowed), "{path}");
        problem(refused, 405, "method_not_allowed").await;
    }
}

#[tokio::test]
async fn a_body_must_be_json_and_say_so() {
    let server = Server::start().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        for path in [
            "/v1/sessions",
            "/v1/locks/a:acquire",
            "/v1/channels/c/events",
        ] {
            let refused = server.post_as(path, kind, "{}").await;
            problem(refused, 415, "unsupported_media_type").await;
        }
    }
    let broken = server
        .post_as("/v1/sessions", "application/json", "{\"user\":\n }")
        .await;
    let document = problem(broken, 400, "malformed_json").await;
    assert_eq!(
        (&document["line"], &document["column"]),
        (&2.into(), &2.into())
    );
    let empty = server.post_as("/v1/sessions", "application/json", "").await;
    problem(empty, 400, "malformed_json").await;
    let deep = "[".repeat(100_000);
    let deep = server
        .post_as("/v1/sessions", "application/json", &deep)
        .await;
    assert_eq!(deep.status(), 400);
    let charset = "application/json; charset=utf-8";
    let good = server
        .post_as("/v1/sessions", charset, "{\"user\":\"u\"}")
        .await;
    assert_eq!(good.status(), 201);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let server = Server::with(|config| config.max_body_bytes = 1000).await;
    let fits = server.put("/v1/cache/c/k", "x".repeat(1000)).await;
    assert_eq!(fits.status(), 204);
    let refused = server.put("/v1/cache/c/k", "x".repeat(1001)).await;
    let document = problem(refused, 413, "body_too_large").await;
    assert_eq!(document["max_bytes"], 1000);
    let json = format!("{{\"user\":\"{}\"}}", "u".repeat(1000));
    let refused = server
        .post_as("/v1/sessions", "application/json", &json)
        .await;
    problem(refused, 413, "body_too_large").await;

    let mut chunked = b"PUT /v1/cache/c/k HTTP/1.1\r\nHost: localhost\r\n\
        Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
        .to_vec();
    chunked.extend([b'x'; 1001]);
    chunked.extend(b"\r\n0\r\n\r\n");
    let refused = exchange(server.address, &chunked).await;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
}

#[tokio::test]
async fn a_url_of_64_kib_is_refused() {
    let server = Server::start().await;
    let key = "k".repeat(65_536);
    let request =
        format!("GET /v1/cache/c/{key} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let refused = exchange(server.address, request.as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 414 "), "{refused}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let server = Server::with(|config| config.request_timeout = Duration::from_millis(50)).await;
    for path in ["PUT /v1/cache/c/k", "POST /v1/locks/a:acquire"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: 10\r\nConnection: close\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\"code\":\"timeout\""), "{answer}");
    }
}
