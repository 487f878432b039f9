//! What is logged, down to the last detail.

use std::io;
use std::sync::{Arc, Mutex};

use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::StatusCode;
use tracing_subscriber::fmt::MakeWriter;

use super::site::{Browser, Site, sessions};

/// Where all that is logged goes.
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

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// On one thread, which is that of the log.
#[tokio::test]
async fn s10_no_id_is_logged_on_redis() {
    let server = Server::start(Flavor::Redis).await;
    no_id_is_logged(
        &Mainstay::connect(&server.url()).await.unwrap(),
        Some(server),
    )
    .await;
}

#[tokio::test]
async fn s10_no_id_is_logged_in_memory() {
    no_id_is_logged(&Mainstay::memory(), None).await;
}

async fn no_id_is_logged(stay: &Mainstay, server: Option<Server>) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let site = Site::start(sessions(stay)).await;
    let mut browser = Browser::new(&site);
    let mut cookies = Vec::new();
    for path in [
        "/begin",
        "/log-in/ada",
        "/visit/key",
        "/rotate",
        "/authenticate",
        "/log-in/ada",
    ] {
        let page = browser.post(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        cookies.extend(browser.cookie.clone());
    }
    let forged = browser.cookie.clone().unwrap().replace('A', "B");
    let page = browser
        .with_field("/me", format!("__Host-id={forged}x").as_bytes())
        .await;
    assert_eq!(page.body["session"], false);
    cookies.push(forged);
    if let Some(server) = server {
        // And what is said of a server that is gone.
        drop(server);
        let page = browser.get("/me").await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    }

    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        said.contains("session.load") && said.contains("session.rotate"),
        "{said}"
    );
    for cookie in &cookies {
        for part in [&cookie[16..48], &cookie[48..]] {
            assert!(!said.contains(part), "an id was logged");
        }
    }
}
