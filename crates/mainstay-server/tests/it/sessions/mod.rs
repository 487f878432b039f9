//! Sessions over HTTP.

mod change;
mod configured;
mod create;
mod listed;
mod renew;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::server::Server;

const CURRENT: &str = "/v1/sessions/current";

/// How long the store keeps an unused session whose idle time is 1 h: up to a twentieth longer.
const KEPT_MS: u64 = 3_600_000 + 180_000;

/// The token of a new session.
async fn create(server: &Server, body: Value) -> String {
    let created = server.post("/v1/sessions", &body).await;
    assert_eq!(created.status(), 201);
    let answer: Value = created.json().await.unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// A request of whoever has the token.
async fn with_token(server: &Server, method: Method, path: &str, token: &str) -> Response {
    let request = server.request(method, path).bearer_auth(token);
    request.send().await.unwrap()
}

/// What the session of a token is.
async fn read(server: &Server, token: &str) -> Value {
    let answer = with_token(server, Method::GET, CURRENT, token).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// Whether the token is good for anything.
async fn is_valid(server: &Server, token: &str) -> bool {
    let answer = with_token(server, Method::GET, CURRENT, token).await;
    match answer.status().as_u16() {
        200 => true,
        401 => false,
        status => panic!("neither valid nor not: {status}"),
    }
}

/// Changes some keys of the data.
async fn patch(server: &Server, token: &str, patch: &Value) -> Response {
    let request = server.request(Method::PATCH, CURRENT).bearer_auth(token);
    let request = request.header("Content-Type", "application/merge-patch+json");
    request.body(patch.to_string()).send().await.unwrap()
}

/// A session of this user, without data.
fn of(user: &str) -> Value {
    json!({ "user": user })
}
