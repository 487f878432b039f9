//! `PATCH /v1/sessions/current`.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::{CURRENT, create, of, patch, read, with_token};
use crate::server::{Server, header, problem};

#[tokio::test]
async fn null_removes_a_key_and_anything_else_sets_it() {
    let server = Server::start().await;
    let data = json!({"cart": [1], "draft": "x", "theme": {"name": "dark", "size": 9}});
    let id = create(&server, json!({"user": "ada", "data": data})).await;

    let change = json!({"draft": null, "cart": [1, 2], "seen": 7, "theme": {"size": null}});
    let changed = patch(&server, &id, &change).await;
    assert_eq!(changed.status(), 200);
    assert_eq!(header(&changed, "cache-control"), Some("no-store"));
    let data = json!({"cart": [1, 2], "theme": {"name": "dark"}, "seen": 7});
    assert_eq!(changed.json::<Value>().await.unwrap(), data);
    assert_eq!(read(&server, &id).await["data"], data);

    let same = patch(&server, &id, &json!({})).await;
    assert_eq!(same.json::<Value>().await.unwrap(), data);
}

#[tokio::test]
async fn a_session_without_data_gets_some() {
    let server = Server::start().await;
    let id = create(&server, of("ada")).await;
    assert_eq!(read(&server, &id).await["data"], Value::Null);
    let changed = patch(&server, &id, &json!({"page": 3})).await;
    assert_eq!(changed.json::<Value>().await.unwrap(), json!({"page": 3}));
    assert_eq!(read(&server, &id).await["data"], json!({"page": 3}));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_different_keys_at_a_time_are_all_kept() {
    let server = Arc::new(Server::start().await);
    let data = json!({"before": true});
    let id = create(&server, json!({"user": "ada", "data": data})).await;
    let mut clients = JoinSet::new();
    for number in 0..50 {
        let (server, id) = (Arc::clone(&server), id.clone());
        clients.spawn(async move {
            let key = format!("key-{number}");
            let changed = patch(&server, &id, &json!({ key.clone(): number })).await;
            assert_eq!(changed.status(), 200);
            let answer: Value = changed.json().await.unwrap();
            assert_eq!(answer[key], number);
        });
    }
    clients.join_all().await;
    let mut all = Map::from_iter([("before".to_owned(), json!(true))]);
    all.extend((0..50).map(|number| (format!("key-{number}"), json!(number))));
    assert_eq!(read(&server, &id).await["data"], Value::from(all));
}

#[tokio::test]
async fn both_media_types_are_read_and_no_other() {
    let server = Server::start().await;
    let id = create(&server, of("ada")).await;
    let change = async |media_type: &str, body: &'static str| {
        let request = server.request(Method::PATCH, CURRENT).bearer_auth(&id);
        let request = request.header("Content-Type", media_type);
        request.body(body).send().await.unwrap()
    };
    let changed = change("application/json; charset=utf-8", "{\"a\":1}").await;
    assert_eq!(changed.json::<Value>().await.unwrap(), json!({"a": 1}));
    let changed = change("Application/Merge-Patch+JSON", "{\"b\":2}").await;
    let both = json!({"a": 1, "b": 2});
    assert_eq!(changed.json::<Value>().await.unwrap(), both);

    let refused = change("application/json-patch+json", "[]").await;
    assert_eq!(
        header(&refused, "accept-patch"),
        Some("application/merge-patch+json")
    );
    let document = problem(refused, 415, "unsupported_media_type").await;
    let said = "send the header Content-Type: application/merge-patch+json or application/json";
    assert_eq!(document["detail"], said);
    for no_object in ["[]", "null", "7"] {
        let refused = change("application/json", no_object).await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains("expected a map"), "{detail}");
    }
    problem(change("application/json", "{").await, 400, "malformed_json").await;
    assert_eq!(read(&server, &id).await["data"], both);
}

#[tokio::test]
async fn data_that_is_no_object_is_a_conflict_and_stays() {
    let server = Server::start().await;
    for (data, what) in [
        (json!("text"), "a string"),
        (json!([1, 2]), "an array"),
        (json!(7), "a number"),
        (json!(false), "a boolean"),
    ] {
        let id = create(&server, json!({"user": "ada", "data": data})).await;
        let refused = patch(&server, &id, &json!({"a": 1})).await;
        assert_eq!(header(&refused, "cache-control"), Some("no-store"));
        let document = problem(refused, 409, "data_is_no_object").await;
        assert_eq!(
            document["detail"],
            format!("the session's data is {what}: only an object can be changed key by key")
        );
        assert_eq!(read(&server, &id).await["data"], data);
    }
}

#[tokio::test]
async fn more_data_than_is_allowed_changes_nothing() {
    let server = Server::start().await;
    let id = create(&server, json!({"user": "ada", "data": {"a": 1}})).await;
    let refused = patch(&server, &id, &json!({"b": "x".repeat(65_536)})).await;
    let document = problem(refused, 400, "invalid_input").await;
    let said = "data of a session is 65543 bytes: at most 65536 are allowed";
    assert_eq!(document["detail"], said);
    assert_eq!(read(&server, &id).await["data"], json!({"a": 1}));
}

#[tokio::test]
async fn a_session_that_has_ended_is_not_revived() {
    let server = Server::start().await;
    let id = create(&server, of("ada")).await;
    with_token(&server, Method::DELETE, CURRENT, &id).await;
    let refused = patch(&server, &id, &json!({"a": 1})).await;
    problem(refused, 401, "session_not_valid").await;
    let refused = patch(&server, "x", &json!({"a": 1})).await;
    problem(refused, 401, "session_not_valid").await;
    let listed: Value = server
        .get("/v1/users/ada/sessions")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(listed, json!({"sessions": []}));
}
