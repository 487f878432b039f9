use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::server::{Server, header, problem};

const KEY: &str = "/v1/cache/c/k";

async fn acquire(server: &Server) -> Response {
    server.post(&format!("{KEY}:acquire"), &json!({})).await
}

async fn leased(server: &Server) -> String {
    let response = acquire(server).await;
    assert_eq!(response.status(), 201);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["expires_in_ms"], 10_000);
    answer["lease"].as_str().unwrap().to_owned()
}

async fn fill(server: &Server, lease: &str) -> Response {
    server
        .request(Method::POST, &format!("{KEY}:fill?ttl=60s"))
        .header("mainstay-lease", lease)
        .header("mainstay-tag", "red")
        .body("loaded")
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn one_loads_while_others_wait_and_then_all_have_the_value() {
    let (server, _clock) = Server::on_a_clock(|_| ()).await;
    let lease = leased(&server).await;
    let waiting = acquire(&server).await;
    assert_eq!(waiting.status(), 202);
    assert_eq!(header(&waiting, "retry-after"), Some("1"));
    let answer: Value = waiting.json().await.unwrap();
    assert_eq!(answer["retry_after_ms"], 1_000);
    assert_eq!(fill(&server, &lease).await.status(), 204);
    let value = acquire(&server).await;
    assert_eq!(value.status(), 200);
    assert_eq!(
        header(&value, "cache-status"),
        Some("mainstay; hit; ttl=60")
    );
    assert_eq!(value.text().await.unwrap(), "loaded");
}

#[tokio::test]
async fn what_was_invalidated_meanwhile_is_not_stored() {
    let server = Server::start().await;
    for asked in [
        json!({"keys": ["k"]}),
        json!({"tags": ["red"]}),
        json!({"all": true}),
    ] {
        let lease = leased(&server).await;
        let done = server.post("/v1/cache/c:invalidate", &asked).await;
        assert_eq!(done.status(), 200);
        problem(fill(&server, &lease).await, 409, "lease_ended").await;
        assert_eq!(server.get(KEY).await.status(), 404);
    }
}

#[tokio::test]
async fn a_lease_that_is_not_filled_ends() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let lease = leased(&server).await;
    clock.advance(Duration::from_secs(10));
    let second = leased(&server).await;
    problem(fill(&server, &lease).await, 409, "lease_ended").await;
    assert_eq!(fill(&server, &second).await.status(), 204);
}

#[tokio::test]
async fn who_gives_up_lets_the_next_one_load() {
    let server = Server::start().await;
    let lease = leased(&server).await;
    let asked = json!({"lease": lease, "reason": "no source"});
    let gone = server.post(&format!("{KEY}:give-up"), &asked).await;
    assert_eq!(gone.status(), 204);
    assert_eq!(acquire(&server).await.status(), 201);
}

#[tokio::test]
async fn what_is_no_lease_is_refused() {
    let server = Server::start().await;
    let none = server
        .request(Method::POST, &format!("{KEY}:fill"))
        .body("v")
        .send()
        .await;
    let document = problem(none.unwrap(), 400, "invalid_input").await;
    assert!(
        document["detail"]
            .as_str()
            .unwrap()
            .contains("Mainstay-Lease is missing")
    );
    for (lease, said) in [
        (
            "made-up",
            "lease is none that acquire of this cache has handed out",
        ),
        ("café", "header Mainstay-Lease is not ASCII"),
    ] {
        let document = problem(fill(&server, lease).await, 400, "invalid_input").await;
        assert_eq!(document["detail"], said);
    }
    let long = server
        .post(&format!("{KEY}:acquire"), &json!({"lease": "2m"}))
        .await;
    let document = problem(long, 400, "invalid_input").await;
    assert_eq!(
        document["detail"],
        "\"lease\" must be between 100ms and 60s"
    );
    let verb = server.post(&format!("{KEY}:steal"), &json!({})).await;
    problem(verb, 404, "no_such_route").await;
}

#[tokio::test]
async fn a_key_with_a_colon_is_told_from_a_verb() {
    let server = Server::start().await;
    for path in ["/v1/cache/c/a:b", "/v1/cache/c/a:acquire"] {
        assert_eq!(server.put(path, "v").await.status(), 204);
        assert_eq!(server.get(path).await.status(), 200);
    }
    let hit = server.post("/v1/cache/c/a:b:acquire", &json!({})).await;
    assert_eq!(hit.status(), 200);
}
