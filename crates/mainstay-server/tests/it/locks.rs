use std::num::NonZeroU32;

use serde_json::{Value, json};

use crate::server::{Server, header, problem};

async fn acquire(server: &Server, name: &str) -> Value {
    let path = format!("/v1/locks/{name}:acquire");
    let acquired = server
        .post(&path, &json!({"ttl": "30s", "wait": "0s"}))
        .await;
    assert_eq!(acquired.status(), 200);
    let fence = header(&acquired, "mainstay-fence").unwrap().to_owned();
    let answer: Value = acquired.json().await.unwrap();
    assert_eq!(answer["fence"].as_u64().unwrap().to_string(), fence);
    answer
}

#[tokio::test]
async fn a_lease_is_acquired_renewed_and_released() {
    let (server, _clock) = Server::on_a_clock(|_| ()).await;
    let lease = acquire(&server, "report").await;
    let safely = |ttl_ms: u64| ttl_ms - ttl_ms / 100 - 2;
    assert_eq!(lease["expires_in_ms"], safely(30_000));
    let token = json!({"token": lease["token"]});

    let longer = json!({"token": lease["token"], "ttl": "90s"});
    for (body, expires_in_ms) in [(&token, safely(30_000)), (&longer, safely(90_000))] {
        let renewed = server.post("/v1/locks/report:renew", body).await;
        assert_eq!(renewed.status(), 200);
        assert!(header(&renewed, "mainstay-fence").is_some());
        let renewed: Value = renewed.json().await.unwrap();
        let expected = json!({"fence": lease["fence"], "expires_in_ms": expires_in_ms});
        assert_eq!(renewed, expected);
    }
    let released = server.post("/v1/locks/report:release", &token).await;
    assert_eq!(released.status(), 204);
    let late = server.post("/v1/locks/report:renew", &token).await;
    problem(late, 409, "lock_not_held").await;

    let next = acquire(&server, "report").await;
    assert!(next["fence"].as_u64() > lease["fence"].as_u64());
    let foreign = server
        .post("/v1/locks/report:release", &json!({"token": "x"}))
        .await;
    problem(foreign, 409, "lock_not_held").await;
}

#[tokio::test]
async fn a_held_lock_says_when_to_ask_again() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    acquire(&server, "report").await;
    let held = server.post("/v1/locks/report:acquire", &json!({})).await;
    assert_eq!(header(&held, "retry-after"), Some("5"));
    let document = problem(held, 423, "lock_held").await;
    assert_eq!(document["retry_after_ms"], 5_000);
    assert_eq!(document["left_ms"], 30_000);
    assert!(document["holder"].is_string());

    clock.advance(std::time::Duration::from_millis(28_500));
    let held = server.post("/v1/locks/report:acquire", &json!({})).await;
    assert_eq!(header(&held, "retry-after"), Some("2"));
    let document = problem(held, 423, "lock_held").await;
    assert_eq!(document["retry_after_ms"], 1_500);
}

#[tokio::test]
async fn a_waiter_gets_the_lock_when_it_is_released() {
    let server = Server::start().await;
    let lease = acquire(&server, "report").await;
    let path = "/v1/locks/report:acquire";
    let body = json!({"wait": "60s"});
    let waiter = server.post(path, &body);
    let release = async {
        let body = json!({"token": lease["token"]});
        server.post("/v1/locks/report:release", &body).await
    };
    let (acquired, released) = tokio::join!(waiter, release);
    assert_eq!(released.status(), 204);
    assert_eq!(acquired.status(), 200);
}

#[tokio::test]
async fn a_wait_may_be_longer_than_other_requests_and_ends_held() {
    let server = Server::with(|config| {
        config.request_timeout = std::time::Duration::from_millis(200);
    })
    .await;
    acquire(&server, "report").await;
    let body = json!({"wait": "300ms"});
    let held = server.post("/v1/locks/report:acquire", &body).await;
    problem(held, 423, "lock_held").await;
}

#[tokio::test]
async fn an_escaped_slash_is_part_of_the_name() {
    let server = Server::start().await;
    acquire(&server, "plant%2F4").await;
    let lock = server.stay.lock("plant/4").build().unwrap();
    let held = lock.try_acquire().await.unwrap();
    assert!(matches!(held, mainstay::lock::Acquire::Held { .. }));
}

#[tokio::test]
async fn what_cannot_be_a_lock_is_refused() {
    let server = Server::start().await;
    for (path, body, said) in [
        ("a%3Ab:acquire", json!({}), "name holds ':'"),
        ("a:b:acquire", json!({}), "name holds ':'"),
        ("%7Ba%7D:acquire", json!({}), "name holds '{'"),
        ("a%00:acquire", json!({}), "name holds '\\0'"),
        (":acquire", json!({}), "name is empty"),
        (
            "a:acquire",
            json!({"wait": "61s"}),
            "\"wait\" is longer than 60s",
        ),
        (
            "a:acquire",
            json!({"wait": "-1s"}),
            "\"wait\": \"-1s\" is not a duration",
        ),
        (
            "a:acquire",
            json!({"ttl": 30}),
            "\"ttl\": 30 is not a duration",
        ),
        ("a:acquire", json!({"ttl": "99ms"}), "ttl"),
        ("a:acquire", json!({"tll": "1s"}), "unknown field `tll`"),
        ("a:renew", json!({}), "missing field `token`"),
        ("a:renew", json!({"token": ""}), "token"),
        ("a:renew", json!({"token": "x", "ttl": "25h"}), "ttl"),
        ("a:release", json!({"token": "a\nb"}), "token"),
        ("a:release", json!({"token": "x".repeat(129)}), "token"),
    ] {
        let refused = server.post(&format!("/v1/locks/{path}"), &body).await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{path}: {detail}");
    }
    for path in ["a", "a:steal", "a%3Aacquire"] {
        let refused = server.post(&format!("/v1/locks/{path}"), &json!({})).await;
        let document = problem(refused, 404, "no_such_route").await;
        let detail = "write one of :acquire, :renew, :release, :break after the name";
        assert_eq!(document["detail"], detail);
    }
}

#[tokio::test]
async fn a_lock_is_shown_and_broken_for_its_holder() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let shown = async || -> Value {
        let shown = server.get("/v1/locks/report").await;
        assert_eq!(shown.status(), 200);
        shown.json().await.unwrap()
    };
    let free = json!({"holding": null, "waiting": 0, "last_break": null});
    assert_eq!(shown().await, free);
    let lease = acquire(&server, "report").await;
    clock.advance(std::time::Duration::from_secs(10));
    let held = shown().await;
    assert_eq!(held["holding"]["fence"], lease["fence"]);
    assert_eq!(held["holding"]["left_ms"], 20_000);
    assert_eq!(held["holding"]["held_for_ms"], 10_000);
    let token = lease["token"].as_str().unwrap();
    assert!(
        !held.to_string().contains(token),
        "the token is the holder's"
    );

    let path = "/v1/locks/report:break";
    let other = json!({"fence": 1, "reason": "its host hangs"});
    problem(server.post(path, &other).await, 409, "lock_not_held").await;
    let silent = json!({"fence": lease["fence"], "reason": ""});
    problem(server.post(path, &silent).await, 400, "invalid_input").await;
    let body = json!({"fence": lease["fence"], "reason": "its host hangs"});
    assert_eq!(server.post(path, &body).await.status(), 204);
    let after = shown().await;
    assert_eq!(after["holding"], Value::Null);
    assert_eq!(after["last_break"]["reason"], "its host hangs");
    problem(server.post(path, &body).await, 409, "lock_not_held").await;
    let renewed = server
        .post("/v1/locks/report:renew", &json!({"token": token}))
        .await;
    problem(renewed, 409, "lock_not_held").await;
}

#[tokio::test]
async fn what_is_held_is_listed() {
    let server = Server::start().await;
    let listed = async |query: &str| -> Value {
        let listed = server.get(&format!("/v1/locks{query}")).await;
        assert_eq!(listed.status(), 200);
        listed.json().await.unwrap()
    };
    assert_eq!(listed("").await, json!({"locks": [], "is_all": true}));
    let lease = acquire(&server, "report").await;
    acquire(&server, "a%2Fb").await;
    let two = NonZeroU32::new(2).unwrap();
    let imports = server.stay.semaphore("imports", two).build().unwrap();
    let _import = imports.try_acquire().await.unwrap();

    let all = listed("").await;
    let locks = all["locks"].as_array().unwrap();
    let names = locks
        .iter()
        .map(|lock| (lock["kind"].as_str(), lock["name"].as_str()));
    let names: Vec<_> = names
        .map(|(kind, name)| (kind.unwrap(), name.unwrap()))
        .collect();
    let wanted = [
        ("lock", "a/b"),
        ("lock", "report"),
        ("semaphore", "imports"),
    ];
    assert_eq!(names, wanted);
    assert_eq!(locks[1]["holdings"][0]["fence"], lease["fence"]);
    let semaphores = listed("?kind=semaphore").await;
    assert_eq!(semaphores["locks"].as_array().unwrap().len(), 1);
    let some = listed("?limit=2").await;
    assert_eq!(some["locks"].as_array().unwrap().len(), 2);
    assert_eq!(some["is_all"], false);
    for wrong in ["?limit=0", "?limit=many", "?kind=mutex", "?name=a"] {
        let refused = server.get(&format!("/v1/locks{wrong}")).await;
        problem(refused, 400, "invalid_input").await;
    }
}

#[tokio::test]
async fn a_unit_is_shown_and_broken_for_its_holder() {
    let server = Server::start().await;
    let two = NonZeroU32::new(2).unwrap();
    let imports = server.stay.semaphore("imports", two).build().unwrap();
    let _first = imports.try_acquire().await.unwrap();
    let _second = imports.try_acquire().await.unwrap();
    let shown = async || -> Vec<Value> {
        let shown = server.get("/v1/locks/imports?kind=semaphore").await;
        assert_eq!(shown.status(), 200);
        let mut shown: Value = shown.json().await.unwrap();
        serde_json::from_value(shown["holdings"].take()).unwrap()
    };
    let held = shown().await;
    assert_eq!(held.len(), 2);
    let path = "/v1/locks/imports:break";
    let body = json!({"fence": held[0]["fence"], "reason": "its host hangs"});
    problem(server.post(path, &body).await, 409, "lock_not_held").await;
    let body = json!({"kind": "semaphore", "fence": held[0]["fence"], "reason": "its host hangs"});
    assert_eq!(server.post(path, &body).await.status(), 204);
    let rest = shown().await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0]["fence"], held[1]["fence"]);
}
