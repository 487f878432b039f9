use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::rest;
use crate::server::Server;
use crate::sse::Frames;

const CONTINUE: [u8; 25] = *b"HTTP/1.1 100 Continue\r\n\r\n";

#[tokio::test]
async fn a_shutdown_ends_streams_and_run_returns() {
    let mut server = Server::with(|config| config.drain = Duration::from_secs(3600)).await;
    let mut frames = Frames::of(server.get("/v1/stream?channel=a").await);
    assert_eq!(frames.expect().await, "retry: 1000\n: connected");
    server.stop();
    assert_eq!(frames.expect().await, "retry: 1000\n: closing");
    assert_eq!(frames.next().await, None);
    assert!(server.ended().await.is_ok());
    assert!(TcpStream::connect(server.address).await.is_err());
}

/// A request whose handler runs, waiting for the two bytes of its body.
async fn in_flight(server: &Server) -> TcpStream {
    waiting_for_body(server, "PUT /v1/cache/c/k", "Content-Length: 2").await
}

async fn waiting_for_body(server: &Server, line: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; CONTINUE.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, CONTINUE);
    stream
}

#[tokio::test]
async fn a_request_in_flight_is_finished() {
    let mut server = Server::start().await;
    let mut stream = in_flight(&server).await;
    server.stop();
    stream.write_all(b"ok").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 204 No Content"), "{answer}");
    assert!(server.ended().await.is_ok());
}

#[tokio::test]
async fn a_wait_for_a_lock_is_answered_at_once() {
    let mut server = Server::with(|config| config.drain = Duration::from_secs(3600)).await;
    let body = r#"{"ttl":"30s","wait":"60s"}"#;
    let held = server
        .post_as("/v1/locks/report:acquire", "application/json", body)
        .await;
    assert_eq!(held.status(), 200);
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let mut waiting = waiting_for_body(&server, "POST /v1/locks/report:acquire", &headers).await;
    server.stop();
    waiting.write_all(body.as_bytes()).await.unwrap();
    let answer = rest(&mut waiting).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("shutting_down"), "{answer}");
    assert!(server.ended().await.is_ok());
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_ended() {
    let mut server = Server::with(|config| config.drain = Duration::from_millis(50)).await;
    let mut stream = in_flight(&server).await;
    server.stop();
    assert!(server.ended().await.is_ok());
    assert_eq!(rest(&mut stream).await, "");
}
