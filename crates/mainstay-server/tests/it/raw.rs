//! Bytes on a socket, for what an HTTP client would not send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::BOUND;

/// Sends the bytes and reads until the server closes.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    rest(&mut stream).await
}

/// Everything until the server closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(BOUND, stream.read_to_end(&mut answer)).await;
    read.expect("the server closes").unwrap();
    String::from_utf8(answer).unwrap()
}
