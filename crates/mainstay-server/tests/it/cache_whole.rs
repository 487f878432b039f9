use serde_json::json;

use crate::server::{Server, problem};

async fn exists(server: &Server, key: &str) -> bool {
    server.get(&format!("/v1/cache/c/{key}")).await.status() == 200
}

async fn put_tagged(server: &Server, key: &str, tags: &[&str]) {
    let path = format!("/v1/cache/c/{key}");
    let mut request = server.request(reqwest::Method::PUT, &path).body("v");
    for tag in tags {
        request = request.header("mainstay-tag", *tag);
    }
    assert_eq!(request.send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_tag_takes_all_entries_that_carry_it_and_no_other() {
    let server = Server::start().await;
    put_tagged(&server, "a", &["red, round"]).await;
    put_tagged(&server, "b", &["red", "square"]).await;
    put_tagged(&server, "c", &["blue"]).await;
    let asked = json!({"tags": ["round", "square"]});
    let done = server.post("/v1/cache/c:invalidate", &asked).await;
    assert_eq!(done.status(), 200);
    let answer: serde_json::Value = done.json().await.unwrap();
    assert_eq!(
        answer["invalidated"],
        json!({"keys": 0, "tags": 2, "all": false})
    );
    assert!(!exists(&server, "a").await && !exists(&server, "b").await);
    assert!(exists(&server, "c").await);
}

#[tokio::test]
async fn keys_and_everything_can_be_invalidated() {
    let server = Server::start().await;
    for key in ["a", "b", "c"] {
        put_tagged(&server, key, &[]).await;
    }
    let asked = json!({"keys": ["a", "none"]});
    let done = server.post("/v1/cache/c:invalidate", &asked).await;
    let answer: serde_json::Value = done.json().await.unwrap();
    assert_eq!(
        (&answer["removed"], &answer["invalidated"]["keys"]),
        (&json!(1), &json!(2))
    );
    assert!(!exists(&server, "a").await && exists(&server, "b").await);
    let all = server
        .post("/v1/cache/c:invalidate", &json!({"all": true}))
        .await;
    assert_eq!(all.status(), 200);
    assert!(!exists(&server, "b").await && !exists(&server, "c").await);
}

#[tokio::test]
async fn what_cannot_be_invalidated_is_said_and_changes_nothing() {
    let server = Server::start().await;
    put_tagged(&server, "a", &["red"]).await;
    let path = "/v1/cache/c:invalidate";
    let too_many: Vec<_> = (0..1_001).map(|n| n.to_string()).collect();
    for (asked, said) in [
        (json!({}), "nothing to invalidate"),
        (json!({"tag": ["red"]}), "unknown field `tag`"),
        (
            json!({"keys": ["a"], "tags": ["\u{0}"]}),
            "control character",
        ),
        (json!({"keys": ["a", ""]}), "key is empty"),
        (json!({"keys": too_many}), "more than 1000"),
    ] {
        let document = problem(server.post(path, &asked).await, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
    assert!(exists(&server, "a").await);
    let wrong = server.post("/v1/cache/c:forget", &json!({})).await;
    problem(wrong, 404, "no_such_route").await;
}

#[tokio::test]
async fn the_stats_tell_of_hits_and_misses() {
    let server = Server::start().await;
    put_tagged(&server, "a", &[]).await;
    for _ in 0..3 {
        assert!(exists(&server, "a").await);
    }
    assert!(!exists(&server, "none").await);
    let stats = server.get("/v1/cache/c:stats").await;
    assert_eq!(stats.status(), 200);
    let stats: serde_json::Value = stats.json().await.unwrap();
    assert_eq!(stats["cache"], "c");
    let process = &stats["process"];
    assert_eq!(
        (&process["near_hits"], &process["remote_hits"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&process["misses"], &process["near_entries"]),
        (&json!(1), &json!(1))
    );
    assert!(stats["all_processes"].is_object());
}

#[tokio::test]
async fn without_a_near_cache_every_read_asks_the_store() {
    let server = Server::with(|config| config.near_cache_bytes = 0).await;
    put_tagged(&server, "a", &[]).await;
    for _ in 0..3 {
        assert!(exists(&server, "a").await);
    }
    let stats: serde_json::Value = server.get("/v1/cache/c:stats").await.json().await.unwrap();
    assert_eq!(stats["process"]["near_hits"], 0);
    assert_eq!(stats["process"]["remote_hits"], 3);
}
