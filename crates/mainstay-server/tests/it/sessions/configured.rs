//! What the configuration changes: signed tokens, secrets, a limit of sessions.

use std::num::NonZeroU32;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::session::WhenFull;
use mainstay_server::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use super::{CURRENT, create, is_valid, of, read, with_token};
use crate::server::{Server, problem};

const OLD_KEY: &str = "the first key, of 32 bytes or more";
const NEW_KEY: &str = "the second key, of 32 bytes or more";

async fn signing(stay: &Mainstay, keys: &[&str]) -> Server {
    let keys = keys.iter().map(Secret::new).collect();
    Server::over(stay.clone(), |config| config.sessions.signing_keys = keys).await
}

#[tokio::test]
async fn a_tampered_token_is_refused() {
    let server = signing(&Mainstay::memory(), &[OLD_KEY]).await;
    let token = create(&server, of("ada")).await;
    assert_eq!(token.len(), 72);
    assert!(is_valid(&server, &token).await);
    let forged = (0..token.len()).map(|place| {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    });
    for forged in forged.chain([token[..48].to_owned(), format!("{token}A")]) {
        for (method, path) in [
            (Method::GET, CURRENT.to_owned()),
            (Method::DELETE, CURRENT.to_owned()),
            (Method::POST, format!("{CURRENT}:rotate")),
        ] {
            let refused = with_token(&server, method, &path, &forged).await;
            problem(refused, 401, "session_not_valid").await;
        }
    }
    assert!(is_valid(&server, &token).await);
}

#[tokio::test]
async fn every_token_that_is_answered_is_signed() {
    let server = signing(&Mainstay::memory(), &[OLD_KEY]).await;
    let first = create(&server, of("ada")).await;
    let moved = format!("{CURRENT}:rotate");
    let second = with_token(&server, Method::POST, &moved, &first).await;
    let second: Value = second.json().await.unwrap();
    let second = second["id"].as_str().unwrap();
    assert_eq!(second.len(), 72);
    assert_eq!(read(&server, &first).await["renewed"], second);
    assert_eq!(read(&server, second).await["user"], "ada");
    let third = create(&server, json!({"user": "ada", "in_place_of": second})).await;
    assert!(!is_valid(&server, second).await);
    assert!(is_valid(&server, &third).await);
}

#[tokio::test]
async fn a_signing_key_can_be_changed_while_sessions_live() {
    let stay = Mainstay::memory();
    let token = create(&signing(&stay, &[OLD_KEY]).await, of("ada")).await;
    let both = signing(&stay, &[NEW_KEY, OLD_KEY]).await;
    assert!(is_valid(&both, &token).await);
    let new = signing(&stay, &[NEW_KEY]).await;
    assert!(!is_valid(&new, &token).await);
    assert!(is_valid(&new, &create(&both, of("ada")).await).await);
}

#[tokio::test]
async fn a_user_is_found_under_the_same_secret_only() {
    let stay = Mainstay::memory();
    let under = async |secret: &str| {
        let secret = Some(Secret::new(secret));
        Server::over(stay.clone(), |config| config.sessions.secret = secret).await
    };
    let (one, other) = (under("one").await, under("other").await);
    let token = create(&one, of("ada")).await;
    let listed = async |server: &Server| {
        let listed = server.get("/v1/users/ada/sessions").await;
        let listed: Value = listed.json().await.unwrap();
        listed["sessions"].as_array().unwrap().len()
    };
    assert_eq!((listed(&one).await, listed(&other).await), (1, 0));
    other.delete("/v1/users/ada/sessions").await;
    assert!(is_valid(&one, &token).await);
    one.delete("/v1/users/ada/sessions").await;
    assert!(!is_valid(&one, &token).await);
}

#[tokio::test]
async fn beyond_the_limit_a_log_in_is_refused_or_ends_the_oldest() {
    let two = NonZeroU32::new(2).unwrap();
    let server = Server::with(|config| {
        config.sessions.at_most = Some((two, WhenFull::Refuse));
    })
    .await;
    let first = create(&server, of("ada")).await;
    create(&server, of("ada")).await;
    let refused = server.post("/v1/sessions", &of("ada")).await;
    problem(refused, 409, "too_many_sessions").await;
    assert!(is_valid(&server, &create(&server, of("bob")).await).await);
    with_token(&server, Method::DELETE, CURRENT, &first).await;
    create(&server, of("ada")).await;

    let (server, clock) = Server::on_a_clock(|config| {
        config.sessions.at_most = Some((two, WhenFull::EndOldest));
    })
    .await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(create(&server, of("ada")).await);
        clock.advance(Duration::from_secs(1));
    }
    let mut valid = Vec::new();
    for token in &tokens {
        valid.push(is_valid(&server, token).await);
    }
    assert_eq!(valid, [false, true, true]);
}
