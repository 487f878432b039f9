//! What is logged, down to the last detail.

use std::env;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};

use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::StatusCode;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

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

/// Tells a test that it runs in a process of its own.
const ALONE: &str = "MAINSTAY_TEST_ALONE";

/// Runs a test in a process of its own: what is logged by one thread depends on what others have logged
/// before, and whether anybody listened.
fn is_run_elsewhere(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return false;
    }
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", test])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    true
}

#[tokio::test]
async fn s10_no_id_is_logged_on_redis() {
    if is_run_elsewhere("sessions::logs::s10_no_id_is_logged_on_redis") {
        return;
    }
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await.unwrap();
    no_id_is_logged(&stay, Some(server)).await;
}

#[tokio::test]
async fn s10_no_id_is_logged_in_memory() {
    if !is_run_elsewhere("sessions::logs::s10_no_id_is_logged_in_memory") {
        no_id_is_logged(&Mainstay::memory(), None).await;
    }
}

async fn no_id_is_logged(stay: &Mainstay, server: Option<Server>) {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();

    let site = Site::start(sessions(stay)).await;
    let mut browser = Browser::new(&site);
    let paths = [
        "/begin",
        "/log-in/ada",
        "/visit/key",
        "/rotate",
        "/authenticate",
        "/log-in/ada",
    ];
    let mut cookies = browser.walk(&paths).await;
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
    assert!(said.contains("session.load") && said.contains("session.rotate"));
    for cookie in &cookies {
        for part in [&cookie[16..48], &cookie[48..]] {
            assert!(!said.contains(part), "an id was logged");
        }
    }
}
