//! What is revoked stays so, whatever races with it.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::session::SessionId;
use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::site::{Browser, Site, sessions};
use super::{connect, extent, on_both_flavors, worker};

const PROCESSES: usize = 4;
const CALLERS: usize = 2;

on_both_flavors! {
    s1_log_out_everywhere_leaves_no_session_and_ends_none_that_comes_after
    s2_nothing_revives_a_session_that_was_logged_out_during_a_request
    s2_a_new_id_that_a_log_out_overtakes_sets_no_cookie
}

/// A log-in as its worker saw it, in microseconds since the machine was started.
struct LogIn {
    id: SessionId,
    begun: u64,
    returned: u64,
    looked: u64,
    seen: u64,
    is_valid: bool,
}

impl LogIn {
    fn of(line: &Value) -> Self {
        let at = |name: &str| line[name].as_u64().unwrap();
        Self {
            id: line["id"].as_str().unwrap().parse().unwrap(),
            begun: at("begun"),
            returned: at("returned"),
            looked: at("looked"),
            seen: at("seen"),
            is_valid: line["valid"].as_bool().unwrap(),
        }
    }
}

fn since_boot() -> u64 {
    use mainstay::clock::{Clock as _, Moment, SystemClock};
    let since_boot = SystemClock.now().since(Moment::default());
    u64::try_from(since_boot.as_micros()).unwrap()
}

async fn s1_log_out_everywhere_leaves_no_session_and_ends_none_that_comes_after(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let stay = connect(&url).await;
    let sessions = stay.sessions::<Value>().secret("faults").build().unwrap();
    let mut workers = Vec::new();
    for _ in 0..PROCESSES {
        let mut worker = worker::Worker::session(None, &url).await;
        worker.begin(&format!("log-ins ada {CALLERS}")).await;
        workers.push(worker);
    }
    let mut revocations = Vec::new();
    let start = Instant::now();
    for _ in 0..extent(150, 1_000) {
        let begun = since_boot();
        sessions.revoke_all("ada").await.unwrap();
        revocations.push((begun, since_boot()));
        sleep(Duration::from_millis(3)).await;
    }
    let took = start.elapsed();
    let lines = join_all(workers.into_iter().map(worker::Worker::close)).await;
    let log_ins: Vec<_> = lines.concat().iter().map(LogIn::of).collect();

    let mut ended_at_once = 0;
    for log_in in &log_ins {
        // A revocation all of which was between the log-in and the look, and one that may have been.
        let was_between =
            |(begun, ended): &&(u64, u64)| *begun > log_in.returned && *ended < log_in.looked;
        let may_have_been =
            |(begun, ended): &&(u64, u64)| *ended >= log_in.begun && *begun <= log_in.seen;
        if log_in.is_valid {
            assert_eq!(
                revocations.iter().find(was_between),
                None,
                "a session outlived a log-out everywhere"
            );
        } else {
            ended_at_once += 1;
            let reason = revocations.iter().find(may_have_been);
            assert!(
                reason.is_some(),
                "a log-in that returned did not work, and nobody had revoked it"
            );
        }
    }

    sessions.revoke_all("ada").await.unwrap();
    let mut survivors = 0;
    for log_in in &log_ins {
        survivors += u32::from(sessions.load(&log_in.id).await.unwrap().is_some());
    }
    let listed = sessions.list("ada").await.unwrap().len();
    println!(
        "{flavor}: S1 {PROCESSES} processes of {CALLERS} callers: {} log-ins against {} revocations in {took:?}, {ended_at_once} ended before they were looked at; after the last {survivors} authenticate, {listed} are listed",
        log_ins.len(),
        revocations.len(),
    );
    assert_eq!((survivors, listed), (0, 0));
    assert!(
        ended_at_once > 0 && log_ins.len() > revocations.len(),
        "there was no race"
    );
    let id = sessions.create("ada", &Value::Null).await.unwrap().id;
    assert!(sessions.load(&id).await.unwrap().is_some());
}

async fn s2_nothing_revives_a_session_that_was_logged_out_during_a_request(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let sessions = sessions(&stay);
    let site = Site::start(sessions.clone()).await;
    for everywhere in [false, true] {
        for _ in 0..extent(5, 50) {
            let browser = Browser::log_in(&site, "ada").await;
            let log_out = async {
                site.gate.reached.notified().await;
                let path = if everywhere {
                    "/log-out-everywhere"
                } else {
                    "/log-out"
                };
                let page = browser.peek(Method::POST, path).await;
                assert_eq!(page.status, StatusCode::OK);
                assert_eq!(page.token(), Some(""), "the cookie is removed");
                site.gate.open.notify_one();
            };
            let (slow, ()) = tokio::join!(browser.peek(Method::POST, "/slow/key"), log_out);
            assert_eq!(
                (slow.status, slow.code()),
                (StatusCode::UNAUTHORIZED, "session_ended")
            );
            assert_eq!(slow.set_cookie, None, "no cookie comes after a log-out");
            assert_eq!(browser.clone().user().await, None);
            assert!(sessions.list("ada").await.unwrap().is_empty());
        }
    }
}

async fn s2_a_new_id_that_a_log_out_overtakes_sets_no_cookie(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let sessions = sessions(&stay);
    let site = Site::start(sessions.clone()).await;
    for path in ["/slow-rotation", "/slow-authentication", "/slow-log-in/ada"] {
        let browser = Browser::log_in(&site, "ada").await;
        let log_out = async {
            site.gate.reached.notified().await;
            // Of all, since nobody else knows the new id.
            sessions.revoke_all("ada").await.unwrap();
            let again = Browser::log_in(&site, "ada").await;
            site.gate.open.notify_one();
            again
        };
        let slow = browser.peek(Method::POST, path);
        let (slow, mut again) = tokio::join!(slow, log_out);
        assert_eq!(
            slow.set_cookie, None,
            "{path}: it would take the place of the new log-in"
        );
        assert_eq!(browser.clone().user().await, None);
        assert_eq!(again.user().await.as_deref(), Some("ada"));
        let listed: Vec<_> = sessions.list("ada").await.unwrap();
        assert_eq!(listed.len(), 1);
        let id = sessions.open_token(again.cookie.as_deref().unwrap());
        let session = sessions.load(&id.unwrap()).await.unwrap().unwrap();
        assert_eq!(session.id_hash(), listed[0].id_hash);
    }
}
