//! What a request leaves in the log.
//!
//! A program of its own: where one subscriber lives, `tracing` asks the default of whichever thread
//! comes by a span first and keeps that answer for all, so a test beside this one could switch its
//! spans off.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "it/server.rs"]
#[expect(
    dead_code,
    reason = "shared with the other tests, which use more of it"
)]
mod server;

use std::io;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use server::Server;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_request_is_one_span_without_keys_values_or_ids() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_env_filter("info,mainstay::lock=debug")
        .finish();
    let _here = tracing::subscriber::set_default(subscriber);

    let server = Server::start().await;
    server
        .put("/v1/cache/c/hidden-key?ttl=59s", "hidden-value")
        .await;
    server.get("/v1/cache/c/hidden-key?hidden=hidden").await;
    server
        .post("/v1/sessions", &json!({"user": "hidden-user"}))
        .await;
    let session = server.request(Method::GET, "/v1/sessions/current");
    session.bearer_auth("hidden-id").send().await.unwrap();

    let held = server
        .post("/v1/locks/report:acquire", &json!({"ttl": "59s"}))
        .await;
    let held: serde_json::Value = held.json().await.unwrap();
    server
        .post("/v1/locks/report:acquire", &json!({"wait": "1ms"}))
        .await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("hidden") && !text.contains("59s"), "{text}");
    assert!(!text.contains(held["token"].as_str().unwrap()), "{text}");
    for fields in [
        "method=\"PUT\" route=\"/v1/cache/{cache}/{key}\" status=204 latency_ms=",
        "method=\"GET\" route=\"/v1/cache/{cache}/{key}\" status=400 latency_ms=",
        "method=\"POST\" route=\"/v1/sessions\" status=201 latency_ms=",
        "method=\"GET\" route=\"/v1/sessions/current\" status=401 latency_ms=",
        "lock.acquire{lock=report wait=0ns outcome=\"acquired\"}",
        "lock.acquire{lock=report wait=1ms outcome=\"held\"}",
    ] {
        assert_eq!(text.matches(fields).count(), 1, "{fields}\n{text}");
    }
}
