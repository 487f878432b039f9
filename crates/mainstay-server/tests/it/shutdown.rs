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
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v1/cache/c/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\
                Expect: 100-continue\r\n\r\n";
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
async fn what_does_not_finish_in_time_is_ended() {
    let mut server = Server::with(|config| config.drain = Duration::from_millis(50)).await;
    let mut stream = in_flight(&server).await;
    server.stop();
    assert!(server.ended().await.is_ok());
    assert_eq!(rest(&mut stream).await, "");
}
