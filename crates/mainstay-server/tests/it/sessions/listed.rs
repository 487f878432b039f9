//! `/v1/users/{user}/sessions`, and `:revoke-others`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{CURRENT, KEPT_MS, create, is_valid, of, read, with_token};
use crate::server::{Server, header, problem};

async fn list(server: &Server, path: &str) -> Vec<Value> {
    let answer = server.get(path).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    let answer: Value = answer.json().await.unwrap();
    answer["sessions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_users_sessions_are_listed_without_their_ids_and_ended_together() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let path = "/v1/users/a%20b%2Fc/sessions";
    let first = create(&server, of("a b/c")).await;
    clock.advance(Duration::from_secs(2));
    let device = json!({"user_agent": "Firefox/140", "address": "2001:db8:1:2::3"});
    let second = create(&server, json!({"user": "a b/c", "device": device})).await;
    let other = create(&server, of("other")).await;

    let listed = list(&server, path).await;
    let text = Value::from(listed.clone()).to_string();
    assert!(!text.contains(&first) && !text.contains(&second), "{text}");
    let id_hash = read(&server, &second).await["id_hash"].clone();
    let newest = json!({
        "id_hash": id_hash,
        "device": {"user_agent": "Firefox/140", "network": "2001:db8:1::/48"},
        "age_ms": 0,
        "authenticated_for_ms": 0,
        "idle_for_ms": 0,
        "expires_in_ms": KEPT_MS,
        "absolute_in_ms": 86_400_000,
    });
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0], newest);
    assert_eq!(listed[1]["age_ms"], 2_000);
    assert_eq!(list(&server, &format!("{path}?limit=1")).await, [newest]);

    let ended = server.delete(path).await;
    assert_eq!(ended.status(), 204);
    for (id, valid) in [(first, false), (second, false), (other, true)] {
        assert_eq!(is_valid(&server, &id).await, valid);
    }
    assert_eq!(list(&server, path).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_limit_is_a_number_up_to_ten_thousand() {
    let server = Server::start().await;
    for limit in ["0", "10001", "-1", "x", ""] {
        let path = format!("/v1/users/ada/sessions?limit={limit}");
        let document = problem(server.get(&path).await, 400, "invalid_input").await;
        assert_eq!(document["detail"], "\"limit\" must be between 1 and 10000");
    }
    let most = list(&server, "/v1/users/ada/sessions?limit=10000").await;
    assert_eq!(most, Vec::<Value>::new());
    let refused = server.get("/v1/users/ada/sessions?max=1").await;
    let document = problem(refused, 400, "invalid_input").await;
    let detail = document["detail"].as_str().unwrap();
    assert!(detail.ends_with("known here: limit"), "{detail}");
}

#[tokio::test]
async fn one_session_is_ended_by_its_hash() {
    let server = Server::start().await;
    let (kept, ended) = (
        create(&server, of("ada")).await,
        create(&server, of("ada")).await,
    );
    let hash = read(&server, &ended).await["id_hash"].clone();
    let hash = hash.as_str().unwrap();
    let of_another = format!("/v1/users/bob/sessions/{hash}");
    problem(server.delete(&of_another).await, 404, "no_such_session").await;

    let path = format!("/v1/users/ada/sessions/{hash}");
    let answer = server.delete(&path).await;
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    assert_eq!(answer.status(), 204);
    assert!(!is_valid(&server, &ended).await);
    assert!(is_valid(&server, &kept).await);

    let again = server.delete(&path).await;
    assert_eq!(header(&again, "cache-control"), Some("no-store"));
    problem(again, 404, "no_such_session").await;
    let malformed = server.delete("/v1/users/ada/sessions/short").await;
    let document = problem(malformed, 400, "invalid_input").await;
    let said = "hash of a session id is not 32 characters of base64url";
    assert_eq!(document["detail"], said);
}

#[tokio::test]
async fn all_others_are_ended_and_the_callers_own_stays() {
    let server = Server::start().await;
    let own = create(&server, of("ada")).await;
    let others = [
        create(&server, of("ada")).await,
        create(&server, of("ada")).await,
    ];
    let bob = create(&server, of("bob")).await;
    let path = format!("{CURRENT}:revoke-others");
    let answer = with_token(&server, Method::POST, &path, &own).await;
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"revoked": 2}));
    assert!(is_valid(&server, &own).await && is_valid(&server, &bob).await);
    for other in &others {
        assert!(!is_valid(&server, other).await);
        let refused = with_token(&server, Method::POST, &path, other).await;
        problem(refused, 401, "session_not_valid").await;
    }
    let again = with_token(&server, Method::POST, &path, &own).await;
    assert_eq!(again.json::<Value>().await.unwrap(), json!({"revoked": 0}));
}

#[tokio::test]
async fn a_name_that_no_user_can_have_is_refused() {
    let server = Server::start().await;
    let refused = server.get("/v1/users/a%00/sessions").await;
    problem(refused, 400, "invalid_input").await;
}
