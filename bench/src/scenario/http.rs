//! Cache hits over HTTP/1.1 keep-alive connections beside the server's cheapest route.
//!
//! The load driver writes prepared requests and reads answers by their length: it costs less
//! than the server it measures.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay::Mainstay;
use mainstay::codec::Raw;
use mainstay_server::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};

const CALLERS: usize = 64;

pub(crate) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let stay = Mainstay::memory();
    let cache = stay
        .cache::<Bytes>("bench")
        .codec(Raw)
        .ttl(Duration::from_secs(3600))
        .build()?;
    cache.set("hot", &Bytes::from(vec![b'x'; 100])).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(mainstay_server::run(
        listener,
        stay,
        Config::default(),
        async {
            // A dropped sender stops the server too.
            let _stopped = stopped.await;
        },
    ));
    let mut connections = Vec::new();
    for _ in 0..CALLERS {
        connections.push(Mutex::new(TcpStream::connect(address).await?));
    }
    let connections = Arc::new(connections);
    let route = |name, path: &'static str| {
        let connections = Arc::clone(&connections);
        Contestant::new(name, move |caller| {
            let connections = Arc::clone(&connections);
            async move {
                let mut stream = connections[caller].lock().await;
                request(&mut stream, path).await
            }
        })
    };
    let contestants = [
        route("GET cache hit", "/v1/cache/bench/hot"),
        route("GET /livez", "/livez"),
    ];
    let rows = compare(plan, "hit", CALLERS, &contestants).await?;
    drop(stop);
    drop(connections);
    drop(contestants);
    server.await??;
    Ok(rows)
}

async fn request(stream: &mut TcpStream, path: &str) -> Outcome<()> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&answer[..end])?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("{path}: {head}").into());
        }
        let length: usize = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .ok_or("the answer has no length")?;
        if answer.len() >= end + 4 + length {
            return Ok(());
        }
    }
}
