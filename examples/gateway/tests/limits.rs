//! The service over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;

use mainstay::Mainstay;
use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::net::TcpListener;

async fn start() -> String {
    let app = gateway::app(&Mainstay::memory(), &["127.0.0.1"]).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

async fn send(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_client_gets_its_burst_and_is_told_what_is_left() {
    let (url, client) = (start().await, Client::new());
    let get = |from: &'static str| client.get(&url).header("x-forwarded-for", from).send();
    let first = get("203.0.113.1").await.unwrap();
    assert_eq!(first.headers()["ratelimit-policy"], "\"requests\";q=20;w=2");
    assert_eq!(first.headers()["ratelimit"], "\"requests\";r=19;t=1");
    let mut denied = 0;
    for _ in 0..40 {
        denied += u32::from(get("203.0.113.1").await.unwrap().status() == 429);
    }
    assert!(denied > 0);
    assert_eq!(get("203.0.113.2").await.unwrap().status(), 200);
}

/// From an address of its own as far as the first limit goes.
fn login(client: &Client, url: &str, from: &str, account: &str, password: &str) -> RequestBuilder {
    let request = client.post(format!("{url}/login"));
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-forwarded-for", from)
        .body(format!("account={account}&password={password}"))
}

#[tokio::test]
async fn only_wrong_passwords_count() {
    let (url, client) = (start().await, Client::new());
    let login = |account: &'static str, password: &'static str| {
        let from = format!("203.0.113.{}", account.len());
        send(login(&client, &url, &from, account, password))
    };
    for _ in 0..7 {
        assert_eq!(login("ada", "open+sesame").await.0, 200);
    }
    for _ in 0..5 {
        assert_eq!(login("ada", "guess").await.0, 401);
    }
    let (status, message) = login("ada", "open+sesame").await;
    assert_eq!(status, 429);
    assert!(
        message.starts_with("too many attempts (logins): come back in 3"),
        "{message}"
    );
    assert_eq!(login("grace", "open+sesame").await.0, 200);
}

#[tokio::test]
async fn clients_behind_a_proxy_do_not_use_up_each_others_attempts() {
    let (url, client) = (start().await, Client::new());
    // 51 of all together, where each may make 50.
    for host in 1..=3 {
        for attempt in 0..17 {
            let (from, account) = (format!("203.0.113.{host}"), format!("{host}-{attempt}"));
            let (status, message) = send(login(&client, &url, &from, &account, "guess")).await;
            assert_eq!(status, 401, "{from} {account}: {message}");
        }
    }
}

#[tokio::test]
async fn what_is_no_account_is_the_clients_mistake() {
    let (url, client) = (start().await, Client::new());
    for account in ["", &"a".repeat(1_025), "a%00"] {
        let (status, _) = send(login(&client, &url, "203.0.113.1", account, "guess")).await;
        assert_eq!(status, 400, "{account:?}");
        let export = client.post(format!("{url}/export"));
        if account != "a%00" {
            let (status, _) = send(export.header("x-account", account)).await;
            assert_eq!(status, 400, "{account:?}");
        }
    }
}

#[tokio::test]
async fn two_exports_run_at_a_time() {
    let (url, client) = (start().await, Client::new());
    let export = || {
        let request = client.post(format!("{url}/export"));
        send(request.header("x-account", "ada"))
    };
    let (one, two, three) = tokio::join!(export(), export(), export());
    let statuses = [&one, &two, &three].map(|(status, _)| status.as_u16());
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2);
    let denied = [&one, &two, &three]
        .into_iter()
        .find(|(status, _)| *status == 429);
    assert_eq!(denied.unwrap().1, "not now: exports\n");
    assert_eq!(export().await.0, 200);
}
