//! Ids that are planted, and ids that change.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::session::{Renewed, SessionId};
use mainstay_testkit::fixture::{FaultProxy, Flavor, Mode, Server, eventually};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use super::site::{Browser, Site, sessions};
use super::worker::Worker;
use super::{connect, extent, on_both_flavors};

on_both_flavors! {
    s5_a_planted_id_is_never_adopted_and_one_from_before_log_in_shows_nothing
    s5_a_second_log_in_is_not_seen_by_the_id_before
    s6_requests_beside_a_rotation_go_on_and_get_one_successor
    s6_a_rotation_before_a_failure_logs_nobody_out
    s6_a_node_that_is_killed_while_it_rotates_leaves_the_old_id_or_the_new
}

async fn site(flavor: Flavor) -> (Server, Site) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let site = Site::start(sessions(&stay)).await;
    (server, site)
}

async fn s5_a_planted_id_is_never_adopted_and_one_from_before_log_in_shows_nothing(flavor: Flavor) {
    let (server, site) = site(flavor).await;
    // An id that was signed here, and whose session is none.
    let stay = connect(&server.url()).await;
    let planted = sessions(&stay).token(&"A".repeat(48).parse().unwrap());
    let mut victim = Browser::new(&site);
    victim.cookie = Some(planted.clone());
    let begun = victim.post("/begin").await;
    assert_ne!(begun.token(), Some(planted.as_str()));
    let visitor = victim.clone();
    assert_eq!(victim.get("/me").await.body["session"], true);

    let mut attacker = Browser::new(&site);
    attacker.cookie = Some(planted);
    assert_eq!(attacker.get("/me").await.body["session"], false);

    victim.post("/log-in/ada").await;
    assert_eq!(victim.user().await.as_deref(), Some("ada"));
    for mut before in [visitor, attacker] {
        let page = before.get("/me").await;
        assert_eq!(
            page.body["session"], false,
            "an id from before log-in is good for nothing"
        );
        assert_eq!(page.set_cookie, None);
    }
    // A second log-in of the same browser ends the first one's id.
    let first = victim.clone();
    victim.post("/log-in/ada").await;
    assert_eq!(first.clone().user().await, None);
    assert_eq!(victim.user().await.as_deref(), Some("ada"));
}

async fn s5_a_second_log_in_is_not_seen_by_the_id_before(flavor: Flavor) {
    let (_server, site) = site(flavor).await;
    let mut victim = Browser::log_in(&site, "ada").await;
    let thief = victim.clone();
    sleep(Duration::from_millis(310)).await;
    let refused = victim.get("/vault").await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::UNAUTHORIZED, "authentication_too_old")
    );
    victim.post("/authenticate").await;
    assert_eq!(victim.get("/vault").await.body, "gold");
    let stolen = thief.peek(Method::GET, "/vault").await;
    assert_eq!(stolen.code(), "authentication_too_old");
    assert_eq!(
        stolen.set_cookie, None,
        "the new id is not given to the old"
    );
    let stolen = thief.peek(Method::POST, "/rotate").await;
    assert_eq!(
        (stolen.code(), stolen.set_cookie.as_deref()),
        ("session_renewed_elsewhere", None)
    );
}

async fn s6_requests_beside_a_rotation_go_on_and_get_one_successor(flavor: Flavor) {
    let (_server, site) = site(flavor).await;
    for _ in 0..extent(5, 100) {
        let browser = Browser::log_in(&site, "ada").await;
        let rotations = (0..3).map(|_| browser.peek(Method::POST, "/rotate"));
        let requests = (0..20).map(|_| browser.peek(Method::GET, "/me"));
        let (rotations, requests) = tokio::join!(join_all(rotations), join_all(requests));
        let mut successors: Vec<_> = rotations
            .iter()
            .chain(&requests)
            .filter_map(|page| page.token().map(str::to_owned))
            .collect();
        for page in &requests {
            assert_eq!(page.body["user"], "ada", "logged out by a rotation");
        }
        assert!(successors.len() >= rotations.len());
        successors.dedup();
        assert_eq!(successors.len(), 1, "one successor");
        let mut next = browser.clone();
        next.cookie = successors.pop();
        assert_eq!(next.user().await.as_deref(), Some("ada"));
        // And those that were on their way.
        assert_eq!(browser.clone().user().await.as_deref(), Some("ada"));
    }
}

async fn s6_a_rotation_before_a_failure_logs_nobody_out(flavor: Flavor) {
    let (_server, site) = site(flavor).await;
    let mut browser = Browser::log_in(&site, "ada").await;
    let before = browser.cookie.clone();
    let page = browser.post("/broken-rotation").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_ne!(browser.cookie, before);
    assert_eq!(browser.user().await.as_deref(), Some("ada"));
}

async fn s6_a_node_that_is_killed_while_it_rotates_leaves_the_old_id_or_the_new(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let sessions = stay.sessions::<Value>().secret("faults").build().unwrap();
    // So that the server knows the script.
    let known = sessions.create("ada", &Value::Null).await.unwrap();
    let rotated = sessions.rotate(&known.id).await.unwrap();
    assert!(matches!(rotated, Renewed::Issued(_)));
    sessions.revoke(&known.id).await.unwrap();
    let mut ends = [0; 2];
    for round in 0_u32..extent(6, 60) {
        let mut proxy = FaultProxy::start(server.addr()).await;
        let mut worker = Worker::session(None, &proxy.url()).await;
        let old = sessions.create("ada", &Value::Null).await.unwrap();
        match round % 3 {
            // Before the server has heard of it.
            0 => proxy.set_mode(Mode::Blackhole).await,
            // After it was done, before the node knows.
            1 => proxy.set_mode(Mode::Delay(Duration::from_secs(5))).await,
            // Anywhere.
            _ => {}
        }
        worker.begin(&format!("rotate {}", old.id.expose())).await;
        match round % 3 {
            0 => sleep(Duration::from_millis(20)).await,
            1 => {
                eventually("it is rotated", super::BOUND, async || {
                    let session = sessions.load(&old.id).await.unwrap();
                    let is_moved = session.is_some_and(|it| it.renewed.is_some());
                    is_moved.then_some(()).ok_or_else(|| "not yet".to_owned())
                })
                .await;
            }
            _ => sleep(Duration::from_micros(u64::from(round) * 37 % 3_000)).await,
        }
        worker.kill().await;
        drop(proxy);

        // Whoever has the old id is still logged in, and learns the new one if there is one.
        let session = sessions
            .load(&old.id)
            .await
            .unwrap()
            .expect("neither is valid");
        ends[usize::from(session.renewed.is_some())] += 1;
        let id: SessionId = session.renewed.unwrap_or(old.id);
        assert!(sessions.load(&id).await.unwrap().is_some());
        let listed = sessions.list("ada").await.unwrap();
        assert_eq!(listed.len(), 1, "the session is listed once");
        sessions.revoke(&id).await.unwrap();
    }
    println!(
        "{flavor}: S6 nodes killed while they rotate: the old id stayed {} times, {} times it led to the new",
        ends[0], ends[1]
    );
    assert!(ends.iter().all(|count| *count > 0), "{ends:?}");
}
