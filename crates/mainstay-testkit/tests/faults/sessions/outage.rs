//! Servers that are down, slow, empty, full, read-only, or several.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::ErrorKind;
use mainstay::session::Sessions;
use mainstay_testkit::fixture::{
    Cluster, Connection, FaultProxy, Flavor, Mode, Server, eventually,
};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, timeout};

use super::site::{Browser, Data, Site, sessions};
use super::{BOUND, COMMAND_TIMEOUT, SLACK, connect, on_both_flavors};

on_both_flavors! {
    s10_a_server_that_does_not_answer_logs_nobody_out
    s10_a_server_that_takes_no_writes_still_knows_who_is_logged_in
    s10_an_empty_server_has_no_sessions_and_takes_new_ones
    s10_a_cluster_keeps_all_of_a_user_on_one_node
    s10_no_id_is_seen_on_the_server
}

async fn s10_a_server_that_does_not_answer_logs_nobody_out(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    let mut proxy = FaultProxy::start(server.addr()).await;
    let stay = connect(&proxy.url()).await;
    let site = Site::start(sessions(&stay)).await;
    let mut browser = Browser::log_in(&site, "ada").await;
    browser.post("/visit/before").await;

    // So slow that no answer comes in time.
    for mode in [
        Mode::Delay(3 * COMMAND_TIMEOUT),
        Mode::Blackhole,
        Mode::Refuse,
    ] {
        proxy.set_mode(mode).await;
        let requests = [
            (Method::GET, "/me"),
            (Method::GET, "/vault"),
            (Method::POST, "/visit/key"),
            (Method::POST, "/log-in/ada"),
        ];
        let (browser, asked) = (&browser, Instant::now());
        let pages = requests.map(|(method, path)| async move {
            (path, browser.peek(method, path).await, asked.elapsed())
        });
        for (path, page, took) in join_all(pages).await {
            assert!(took < COMMAND_TIMEOUT + SLACK, "{mode:?} {path}: {took:?}");
            assert_eq!(
                page.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{mode:?} {path}"
            );
            assert_eq!(page.code(), "sessions_unavailable");
            assert_eq!(page.set_cookie, None, "{mode:?} {path}");
        }
        proxy.set_mode(Mode::Forward).await;
        let data = eventually("it is as it was", BOUND, async || {
            let page = browser.clone().get("/me").await;
            let is_there = page.status == StatusCode::OK && page.body["user"] == "ada";
            is_there
                .then_some(page.body["data"].clone())
                .ok_or_else(|| page.body.to_string())
        })
        .await;
        assert_eq!(data["before"], true);
    }
    server.kill();
    let page = browser.get("/me").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
}

async fn s10_a_server_that_takes_no_writes_still_knows_who_is_logged_in(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let site = Site::start(sessions(&stay)).await;
    let sessions: Sessions<Data> = sessions(&stay);
    let data = Data::new();
    let log_in = sessions.log_in("ada", &data);
    let created = log_in.idle(Duration::from_secs(20)).create().await.unwrap();
    let mainstay::session::LoggedIn::Issued(issued) = created else {
        panic!("there is no limit");
    };
    let mut browser = Browser::new(&site);
    browser.cookie = Some(sessions.token(&issued.id));
    let eve = Browser::log_in(&site, "eve").await;
    let elsewhere = Browser::log_in(&site, "ada").await;

    for (fault, mend) in [
        (
            ["CONFIG", "SET", "maxmemory", "1"],
            ["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ] {
        // More than a twentieth of the idle time, so that a use is due to be written down.
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        assert_eq!(server.command(&fault).await.text(), "OK");
        let page = browser.get("/me").await;
        assert_eq!(page.body["user"], "ada", "{fault:?}: {}", page.body);
        let refused = browser.post("/visit/key").await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "sessions_unavailable")
        );
        assert_eq!(refused.set_cookie, None);
        let error = sessions.create("bob", &Data::new()).await.unwrap_err();
        let kinds = [ErrorKind::Refused, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        if fault[2] == "maxmemory" {
            // What makes room, and what is urgent, is not refused.
            assert_eq!(sessions.revoke_all("eve").await.unwrap(), 1);
            assert_eq!(eve.clone().user().await, None);
            assert_eq!(sessions.revoke_others(&issued.id).await.unwrap(), Some(1));
            assert_eq!(elsewhere.clone().user().await, None);
            assert_eq!(browser.user().await.as_deref(), Some("ada"));
        }
        assert_eq!(server.command(&mend).await.text(), "OK");
        eventually("it is as it was", BOUND, async || {
            let page = browser.clone().post("/visit/key").await;
            (page.status == StatusCode::OK)
                .then_some(())
                .ok_or_else(|| page.body.to_string())
        })
        .await;
    }
}

async fn s10_an_empty_server_has_no_sessions_and_takes_new_ones(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let site = Site::start(sessions(&stay)).await;
    let mut browser = Browser::log_in(&site, "ada").await;
    let old = browser.clone();
    server.restart().await;
    let page = eventually("the server answers", BOUND, async || {
        let page = old.clone().get("/me").await;
        (page.status == StatusCode::OK)
            .then_some(page.body.clone())
            .ok_or_else(|| page.body.to_string())
    })
    .await;
    assert_eq!(
        (&page["session"], &page["user"]),
        (&false.into(), &serde_json::Value::Null)
    );
    let refused = browser.post("/visit/key").await;
    assert_eq!(refused.code(), "session_required");
    browser.post("/log-in/ada").await;
    assert_eq!(browser.user().await.as_deref(), Some("ada"));
    assert_eq!(old.clone().user().await, None);
}

async fn s10_a_cluster_keeps_all_of_a_user_on_one_node(flavor: Flavor) {
    let cluster = Cluster::start(flavor, 3, 0).await;
    let stay = connect(&cluster.url()).await;
    let site = Site::start(sessions(&stay)).await;
    let sessions = sessions(&stay);
    for number in 0..30 {
        let user = format!("user{number}");
        let mut browser = Browser::new(&site);
        browser.post("/begin").await;
        browser.post(&format!("/log-in/{user}")).await;
        let other = Browser::log_in(&site, &user).await;
        assert_eq!(browser.post("/visit/key").await.body["count"], 1);
        browser.post("/rotate").await;
        assert_eq!(browser.user().await.as_deref(), Some(user.as_str()));
        assert_eq!(sessions.list(&user).await.unwrap().len(), 2);
        let page = browser.post("/log-out-everywhere").await;
        assert_eq!(page.body["ended"], 2, "{}", page.body);
        assert_eq!(other.clone().user().await, None);
    }
    for node in cluster.nodes() {
        assert!(
            node.command(&["DBSIZE"]).await.integer() > 0,
            "a node holds nothing"
        );
        let errors = node.command(&["INFO", "errorstats"]).await;
        assert!(!errors.text().contains("CROSSSLOT"), "{errors:?}");
    }
}

/// All that the server says it runs, until nothing comes any more.
async fn heard(monitor: &mut Connection) -> String {
    let mut text = String::new();
    while let Ok(line) = timeout(Duration::from_millis(300), monitor.read()).await {
        text.push_str(line.unwrap().text());
        text.push('\n');
    }
    text
}

async fn s10_no_id_is_seen_on_the_server(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let site = Site::start(sessions(&stay)).await;
    let mut monitor = server.connect().await.unwrap();
    assert_eq!(monitor.command(&["MONITOR"]).await.unwrap().text(), "OK");

    let mut browser = Browser::new(&site);
    let paths = [
        "/begin",
        "/log-in/ada",
        "/visit/key",
        "/rotate",
        "/authenticate",
        "/visit/other",
    ];
    let mut cookies = browser.walk(&paths).await;
    let second = Browser::log_in(&site, "ada").await;
    cookies.push(second.cookie.clone().unwrap());
    second.clone().post("/log-out").await;
    browser.post("/log-out-everywhere").await;
    cookies.dedup();
    assert_eq!(cookies.len(), 5, "{}", cookies.len());

    let said = heard(&mut monitor).await;
    assert!(
        said.contains("\"GET\"") && said.contains("EVALSHA"),
        "{said}"
    );
    let mut dump = String::new();
    for key in server.command(&["KEYS", "*"]).await.items() {
        dump.push_str(key.text());
        let words = if key.text().ends_with(":sessions") {
            vec!["ZRANGE", key.text(), "0", "-1"]
        } else {
            vec!["GET", key.text()]
        };
        let value = server.command(&words).await;
        writeln!(dump, "{}", value.lines()).unwrap();
    }
    assert!(dump.contains("grace"), "{dump}");
    for cookie in &cookies {
        // The first 16 characters are the user's tag, which keys hold; then comes what is secret.
        let secret = &cookie[16..48];
        assert!(!said.contains(secret), "an id was sent to the server");
        assert!(!dump.contains(secret), "an id is in a key");
        assert!(!said.contains(&cookie[48..]) && !dump.contains(&cookie[48..]));
    }
}
