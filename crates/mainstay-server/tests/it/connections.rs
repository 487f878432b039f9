use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::raw::rest;
use crate::server::{BOUND, Server};
use crate::sse::Frames;

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_request_loses_its_place() {
    let server = Server::start().await;
    for begun in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "G",
        "GET /livez HTTP/1.1\r\nHo",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        assert!(!rest(&mut stream).await.contains("200 OK"), "{begun}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_loses_its_place() {
    let one = NonZeroUsize::MIN;
    let server = Server::with(|config| config.max_connections = one).await;
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    let pipelined = LIVEZ.repeat(1000);
    let refused = timeout(BOUND, async {
        while deaf.write_all(&pipelined).await.is_ok() {}
    });
    refused.await.expect("the server closes");

    let mut next = TcpStream::connect(server.address).await.unwrap();
    next.write_all(LIVEZ).await.unwrap();
    let answered = timeout(BOUND, next.read_u8()).await;
    assert_eq!(answered.expect("a place became free").unwrap(), b'H');
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_for_a_place() {
    let one = NonZeroUsize::MIN;
    let server = Server::with(|config| config.max_connections = one).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(LIVEZ).await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'H');

    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(LIVEZ).await.unwrap();
    let early = timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "the only place is taken");
    drop(first);
    let answered = timeout(BOUND, second.read_u8()).await;
    assert_eq!(answered.expect("a place became free").unwrap(), b'H');
}

#[tokio::test]
async fn http_2_is_spoken_and_drained() {
    let mut server = Server::start().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge();
    let url = format!("http://{}/v1/stream?channel=a", server.address);
    let response = client.build().unwrap().get(url).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    let mut frames = Frames::of(response);
    assert_eq!(frames.expect().await, "retry: 1000\n: connected");
    server.stop();
    assert_eq!(frames.expect().await, "retry: 1000\n: closing");
    assert_eq!(frames.next().await, None);
    assert!(server.ended().await.is_ok());
}
