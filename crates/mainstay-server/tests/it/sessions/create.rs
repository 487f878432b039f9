//! `POST /v1/sessions`, and what became of it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{CURRENT, KEPT_MS, create, is_valid, of, read, with_token};
use crate::server::{Server, header, problem};

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
        json!({
            "id": id,
            "user": "u1",
            "expires_in_ms": 3_600_000,
            "absolute_in_ms": 24 * 3_600_000,
        })
    );

    clock.advance(Duration::from_secs(600));
    let answer = with_token(&server, Method::GET, CURRENT, id).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    let read: Value = answer.json().await.unwrap();
    let id_hash = read["id_hash"].as_str().unwrap();
    assert_eq!(id_hash.len(), 32);
    assert_eq!(
        read,
        json!({
            "user": "u1",
            "data": {"role": "op"},
            "id_hash": id_hash,
            "device": {"user_agent": null, "network": null},
            "renewed": null,
            "age_ms": 600_000,
            "authenticated_for_ms": 600_000,
            "idle_for_ms": 600_000,
            "expires_in_ms": KEPT_MS,
            "absolute_in_ms": 23 * 3_600_000 + 50 * 60_000,
        })
    );

    let ended = with_token(&server, Method::DELETE, CURRENT, id).await;
    assert_eq!(ended.status(), 204);
    assert_eq!(header(&ended, "cache-control"), Some("no-store"));
    for method in [Method::GET, Method::DELETE] {
        let gone = with_token(&server, method, CURRENT, id).await;
        assert_eq!(header(&gone, "cache-control"), Some("no-store"));
        problem(gone, 401, "session_not_valid").await;
    }
}

#[tokio::test]
async fn a_session_knows_where_it_is_used_from_and_no_more_than_that() {
    let server = Server::start().await;
    let device = json!({"user_agent": "Firefox/140\r\n", "address": "192.0.2.77"});
    let id = create(&server, json!({"user": "ada", "device": device})).await;
    assert_eq!(
        read(&server, &id).await["device"],
        json!({"user_agent": "Firefox/140", "network": "192.0.2.0/24"})
    );
}

#[tokio::test]
async fn a_visitor_has_a_session_that_a_log_in_ends() {
    let server = Server::start().await;
    for visitor in [json!({"data": {"cart": [7]}}), json!({"user": null})] {
        let visitor = create(&server, visitor).await;
        assert_eq!(read(&server, &visitor).await["user"], Value::Null);
        let log_in = json!({"user": "ada", "in_place_of": visitor});
        let logged_in = create(&server, log_in).await;
        assert_eq!(read(&server, &logged_in).await["user"], "ada");
        assert!(!is_valid(&server, &visitor).await);
    }
    let listed = server.get("/v1/users/ada/sessions").await;
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_log_in_in_place_of_what_is_no_session_is_one_all_the_same() {
    let server = Server::start().await;
    let never_was = "A".repeat(48);
    for before in ["", "kept since last year", never_was.as_str()] {
        let id = create(&server, json!({"user": "ada", "in_place_of": before})).await;
        assert!(is_valid(&server, &id).await, "{before:?}");
    }
}

#[tokio::test]
async fn without_times_the_configured_ones_hold() {
    let server = Server::with(|config| {
        config.sessions.idle = Duration::from_secs(60);
        config.sessions.absolute = Duration::from_secs(90);
    })
    .await;
    let times = async |body: Value| {
        let created = server.post("/v1/sessions", &body).await;
        let created: Value = created.json().await.unwrap();
        ["expires_in_ms", "absolute_in_ms"].map(|name| created[name].as_u64().unwrap())
    };
    assert_eq!(times(of("u")).await, [60_000, 90_000]);
    assert_eq!(
        times(json!({"user": "u", "absolute": "30s"})).await,
        [30_000, 30_000]
    );
    assert_eq!(
        times(json!({"user": "u", "idle": "5s"})).await,
        [5_000, 90_000]
    );
}

#[tokio::test]
async fn a_request_without_a_valid_session_is_challenged() {
    let server = Server::start().await;
    let well_formed = format!("Bearer {}", "A".repeat(48));
    for (method, path) in [
        (Method::GET, CURRENT.to_owned()),
        (Method::DELETE, CURRENT.to_owned()),
        (Method::POST, format!("{CURRENT}:rotate")),
        (Method::POST, format!("{CURRENT}:authenticate-again")),
        (Method::POST, format!("{CURRENT}:revoke-others")),
    ] {
        let none = server.request(method.clone(), &path);
        let none = none.send().await.unwrap();
        assert_eq!(header(&none, "www-authenticate"), Some("Bearer"));
        assert_eq!(header(&none, "cache-control"), Some("no-store"));
        problem(none, 401, "session_required").await;
        for wrong in ["Bearer x", "Bearer", "Basic dTpw", well_formed.as_str()] {
            let refused = server.request(method.clone(), &path);
            let refused = refused.header("Authorization", wrong).send().await.unwrap();
            let challenge = header(&refused, "www-authenticate");
            assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
            problem(refused, 401, "session_not_valid").await;
        }
    }
    let id = create(&server, of("ada")).await;
    let lower = server.request(Method::GET, CURRENT);
    let lower = lower.header("Authorization", format!("bearer  {id}"));
    let lower = lower.send().await.unwrap();
    assert_eq!(lower.status(), 200);
}

#[tokio::test]
async fn what_cannot_be_a_session_is_refused() {
    let server = Server::start().await;
    let advice = "is not a duration: write a number and a unit, as in 300s or 5m";
    let no_address = "\"device.address\" is not an IP address: \
                      write it without a port, as in 192.0.2.7 or 2001:db8::7";
    for (body, said) in [
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
        (
            json!({"user": "u", "in_place_of": 7}),
            "expected a string".to_owned(),
        ),
        (
            json!({"user": "u", "device": {"address": "192.0.2.7:80"}}),
            no_address.to_owned(),
        ),
        (
            json!({"user": "u", "device": {"ip": "192.0.2.7"}}),
            "unknown field `ip`, expected `user_agent` or `address`".to_owned(),
        ),
        (
            json!({"user": "u", "data": {"x": "y".repeat(65_536)}}),
            "data of a session is 65540 bytes: at most 65536 are allowed".to_owned(),
        ),
    ] {
        let refused = server.post("/v1/sessions", &body).await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(&said), "{detail}");
    }
}
