use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::server::{Server, header, problem};

async fn create(server: &Server, body: Value) -> String {
    let created = server.post("/v1/sessions", &body).await;
    assert_eq!(created.status(), 201);
    let answer: Value = created.json().await.unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

async fn current(server: &Server, method: Method, authorization: &str) -> Response {
    server
        .request(method, "/v1/sessions/current")
        .header("Authorization", authorization)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_session_is_created_read_and_ended() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let body = json!({"user": "u1", "data": {"role": "op"}, "idle": "1h", "absolute": "24h"});
    let created = server.post("/v1/sessions", &body).await;
    assert_eq!(created.status(), 201);
    assert_eq!(header(&created, "cache-control"), Some("no-store"));
    let created: Value = created.json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    assert_eq!(id.len(), 48);
    assert_eq!(
        created,
        json!({"id": id, "user": "u1", "expires_in_ms": 3_600_000})
    );

    clock.advance(Duration::from_secs(600));
    let bearer = format!("Bearer {id}");
    let read = current(&server, Method::GET, &bearer).await;
    assert_eq!(read.status(), 200);
    assert_eq!(header(&read, "cache-control"), Some("no-store"));
    let read: Value = read.json().await.unwrap();
    assert_eq!(read["user"], "u1");
    assert_eq!(read["data"], json!({"role": "op"}));
    assert_eq!(read["age_ms"], 600_000);
    assert_eq!(read["expires_in_ms"], 3_600_000);
    assert_eq!(read["absolute_in_ms"], 23 * 3_600_000 + 50 * 60_000);

    let ended = current(&server, Method::DELETE, &bearer).await;
    assert_eq!(ended.status(), 204);
    let gone = current(&server, Method::GET, &bearer).await;
    assert_eq!(header(&gone, "cache-control"), Some("no-store"));
    problem(gone, 401, "session_not_valid").await;
    let gone = current(&server, Method::DELETE, &bearer).await;
    problem(gone, 401, "session_not_valid").await;
}

#[tokio::test]
async fn without_times_the_configured_ones_hold() {
    let server = Server::with(|config| {
        config.session_idle = Duration::from_secs(60);
        config.session_absolute = Duration::from_secs(90);
    })
    .await;
    let expires = async |body: Value| {
        let created = server.post("/v1/sessions", &body).await;
        let created: Value = created.json().await.unwrap();
        created["expires_in_ms"].as_u64().unwrap()
    };
    assert_eq!(expires(json!({"user": "u"})).await, 60_000);
    assert_eq!(
        expires(json!({"user": "u", "absolute": "30s"})).await,
        30_000
    );
}

#[tokio::test]
async fn a_request_without_a_valid_session_is_challenged() {
    let server = Server::start().await;
    let none = server.get("/v1/sessions/current").await;
    assert_eq!(header(&none, "www-authenticate"), Some("Bearer"));
    problem(none, 401, "session_required").await;
    let well_formed = format!("Bearer {}", "A".repeat(48));
    for wrong in ["Bearer x", "Bearer", "Basic dTpw", well_formed.as_str()] {
        for method in [Method::GET, Method::DELETE] {
            let refused = current(&server, method, wrong).await;
            let challenge = header(&refused, "www-authenticate");
            assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
            problem(refused, 401, "session_not_valid").await;
        }
    }
}

#[tokio::test]
async fn a_users_sessions_are_listed_without_their_ids_and_ended_together() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let first = create(&server, json!({"user": "a b/c"})).await;
    clock.advance(Duration::from_secs(2));
    let second = create(&server, json!({"user": "a b/c"})).await;
    let other = create(&server, json!({"user": "other"})).await;

    let listed = server.get("/v1/users/a%20b%2Fc/sessions").await;
    assert_eq!(header(&listed, "cache-control"), Some("no-store"));
    let text = listed.text().await.unwrap();
    assert!(!text.contains(&first) && !text.contains(&second), "{text}");
    let listed: Value = serde_json::from_str(&text).unwrap();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let newest = sessions
        .iter()
        .find(|session| session["age_ms"] == 0)
        .unwrap();
    assert_eq!(newest["id_hash"].as_str().map(str::len), Some(32));
    assert_eq!(newest["idle_for_ms"], 0);
    assert_eq!(newest["expires_in_ms"], 3_600_000);
    assert_eq!(newest["absolute_in_ms"], 86_400_000);

    let ended = server.delete("/v1/users/a%20b%2Fc/sessions").await;
    assert_eq!(ended.status(), 204);
    for (id, status) in [(first, 401), (second, 401), (other, 200)] {
        let read = current(&server, Method::GET, &format!("Bearer {id}")).await;
        assert_eq!(read.status(), status);
    }
    let listed = server.get("/v1/users/a%20b%2Fc/sessions").await;
    assert_eq!(
        listed.json::<Value>().await.unwrap(),
        json!({"sessions": []})
    );
}

#[tokio::test]
async fn what_cannot_be_a_session_is_refused() {
    let server = Server::start().await;
    let advice = "is not a duration: write a number and a unit, as in 300s or 5m";
    for (body, said) in [
        (json!({}), "missing field `user`".to_owned()),
        (json!({"user": ""}), "empty".to_owned()),
        (json!({"user": "a\0"}), "U+0000".to_owned()),
        (
            json!({"user": "u", "idle": "-5s"}),
            format!("\"idle\": \"-5s\" {advice}"),
        ),
        (
            json!({"user": "u", "idle": 30}),
            format!("\"idle\": 30 {advice}"),
        ),
        (
            json!({"user": "u", "absolute": "9"}),
            format!("\"absolute\": \"9\" {advice}"),
        ),
        (
            json!({"user": "u", "idle": "2h", "absolute": "1h"}),
            "absolute".to_owned(),
        ),
        (
            json!({"user": "u", "admin": true}),
            "unknown field `admin`".to_owned(),
        ),
        (json!({"user": 7}), "expected a string".to_owned()),
    ] {
        let refused = server.post("/v1/sessions", &body).await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(&said), "{detail}");
    }
    problem(
        server.get("/v1/users/a%00/sessions").await,
        400,
        "invalid_input",
    )
    .await;
}
