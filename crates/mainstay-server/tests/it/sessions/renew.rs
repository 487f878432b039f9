//! `POST /v1/sessions/current:rotate` and `:authenticate-again`.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{KEPT_MS, create, is_valid, of, patch, read, with_token};
use crate::server::{Server, header, problem};

const ROTATE: &str = "/v1/sessions/current:rotate";
const AGAIN: &str = "/v1/sessions/current:authenticate-again";

async fn post(server: &Server, path: &str, token: &str) -> Response {
    with_token(server, Method::POST, path, token).await
}

/// The token that the session has from now on.
async fn renewed(server: &Server, path: &str, token: &str) -> String {
    let answer = post(server, path, token).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    let answer: Value = answer.json().await.unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_moves_and_the_old_token_works_on_for_the_grace() {
    let (server, clock) =
        Server::on_a_clock(|config| config.sessions.grace = Duration::from_secs(5)).await;
    let data = json!({"page": 1});
    let old = create(&server, json!({"user": "ada", "data": data})).await;
    clock.advance(Duration::from_secs(600));
    let answer = post(&server, ROTATE, &old).await;
    let answer: Value = answer.json().await.unwrap();
    let new = answer["id"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!(
        answer,
        json!({
            "id": new,
            "expires_in_ms": KEPT_MS - 600_000,
            "absolute_in_ms": 24 * 3_600_000 - 600_000,
        })
    );

    // Whoever did not see the answer is told again, and changes what is one session.
    assert_eq!(read(&server, &old).await["renewed"], new);
    assert_eq!(renewed(&server, ROTATE, &old).await, new);
    let changed = patch(&server, &old, &json!({"page": 2})).await;
    assert_eq!(changed.status(), 200);

    let by_new = read(&server, new).await;
    assert_eq!(by_new["data"], json!({"page": 2}));
    assert_eq!(by_new["renewed"], Value::Null);
    assert_eq!(by_new["authenticated_for_ms"], 600_000);
    assert_eq!(read(&server, &old).await["id_hash"], by_new["id_hash"]);

    clock.advance(Duration::from_secs(5));
    assert!(!is_valid(&server, &old).await);
    assert!(is_valid(&server, new).await);
}

#[tokio::test]
async fn rotations_of_one_session_at_a_time_answer_one_token() {
    let server = Server::start().await;
    let old = create(&server, of("ada")).await;
    let (one, two, three) = tokio::join!(
        renewed(&server, ROTATE, &old),
        renewed(&server, ROTATE, &old),
        renewed(&server, ROTATE, &old),
    );
    assert_eq!((&one, &two), (&two, &three));
    assert!(is_valid(&server, &one).await);
}

#[tokio::test]
async fn who_authenticates_again_alone_has_the_new_token() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let old = create(&server, of("ada")).await;
    clock.advance(Duration::from_secs(600));
    let new = renewed(&server, AGAIN, &old).await;

    let by_old = read(&server, &old).await;
    assert_eq!(by_old["authenticated_for_ms"], 600_000);
    assert_eq!(by_old["renewed"], Value::Null);
    assert_eq!(read(&server, &new).await["authenticated_for_ms"], 0);
    for path in [ROTATE, AGAIN] {
        let refused = post(&server, path, &old).await;
        assert_eq!(header(&refused, "cache-control"), Some("no-store"));
        problem(refused, 409, "session_renewed_elsewhere").await;
    }

    clock.advance(Duration::from_secs(10));
    for path in [ROTATE, AGAIN] {
        let refused = post(&server, path, &old).await;
        problem(refused, 401, "session_not_valid").await;
    }
    assert!(is_valid(&server, &new).await);
}

#[tokio::test]
async fn a_session_that_has_ended_does_not_move() {
    let server = Server::start().await;
    let id = create(&server, of("ada")).await;
    server.delete("/v1/users/ada/sessions").await;
    for path in [ROTATE, AGAIN] {
        problem(post(&server, path, &id).await, 401, "session_not_valid").await;
    }
}
