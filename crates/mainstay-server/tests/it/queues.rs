use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Server, problem};

async fn ask(server: &Server, path: &str, body: &Value) -> Value {
    let answer = server
        .post(&format!("/v1/queues/reports{path}"), body)
        .await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

async fn stats(server: &Server) -> Value {
    server.get("/v1/queues/reports").await.json().await.unwrap()
}

#[tokio::test]
async fn jobs_are_pushed_taken_extended_and_settled() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let push = json!({"jobs": [
        {"data": {"plant": 7}, "id": "seven", "key": "k"},
        {"data": 8, "id": "seven"},
        {"data": 9, "id": "nine", "key": "k", "traceparent": "00-ab"},
        {"data": 10, "id": "ten", "delay": "1h"},
    ]});
    let pushed = ask(&server, ":push", &push).await;
    let said = ["added", "duplicate", "added", "added"];
    let ids = ["seven", "seven", "nine", "ten"];
    let wanted = said
        .iter()
        .zip(ids)
        .map(|(push, id)| json!({"push": push, "id": id}));
    assert_eq!(pushed, json!({"jobs": wanted.collect::<Value>()}));

    let take = json!({"consumer": "me", "most": 10, "lease": "1s"});
    let taken = ask(&server, ":take", &take).await;
    let job = &taken["jobs"][0];
    assert_eq!(
        taken["jobs"].as_array().unwrap().len(),
        1,
        "nine is behind: {taken}"
    );
    assert_eq!((&job["id"], &job["attempt"]), (&json!("seven"), &json!(1)));
    assert_eq!(
        (&job["data"], &job["key"]),
        (&json!({"plant": 7}), &json!("k"))
    );
    let held = json!({"id": "seven", "fence": job["fence"]});
    clock.advance(Duration::from_millis(900));
    let renew = json!({"jobs": [held, {"id": "seven", "fence": 1}], "lease": "1s"});
    let renewed = ask(&server, ":renew", &renew).await;
    assert_eq!(renewed["jobs"][0], json!({"id": "seven", "renewed": true}));
    assert_eq!(renewed["jobs"][1], json!({"id": "seven", "renewed": false}));
    clock.advance(Duration::from_millis(900));
    assert_eq!(stats(&server).await["in_flight"], 1);
    let mut end = held.clone();
    end["outcome"] = "done".into();
    for settled in ["settled", "lost"] {
        let said = ask(&server, ":settle", &json!({"jobs": [end]})).await;
        assert_eq!(said, json!({"jobs": [{"id": "seven", "settled": settled}]}));
    }
    let taken = ask(&server, ":take", &take).await;
    assert_eq!(taken["jobs"][0]["traceparent"], "00-ab");
    let seen = stats(&server).await;
    assert_eq!(
        (&seen["delayed"], &seen["in_flight"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn dead_letters_are_listed_replayed_and_purged() {
    let server = Server::start().await;
    for id in ["a", "b"] {
        ask(&server, ":push", &json!({"jobs": [{"data": id, "id": id}]})).await;
        let take = json!({"consumer": "me", "max_attempts": 1});
        let taken = ask(&server, ":take", &take).await;
        let end = json!({"id": id, "fence": taken["jobs"][0]["fence"], "outcome": "retry", "reason": "it rains"});
        let settled = ask(
            &server,
            ":settle",
            &json!({"jobs": [end], "max_attempts": 1}),
        )
        .await;
        assert_eq!(settled["jobs"][0]["settled"], "dead");
    }
    let listed = server.get("/v1/queues/reports/dead?limit=10").await;
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed["letters"].as_array().unwrap().len(), 2);
    let letter = &listed["letters"][0];
    assert_eq!(
        (&letter["reason"], &letter["attempts"]),
        (&json!("it rains"), &json!(1))
    );
    assert_eq!(letter["data"], letter["id"]);
    let replayed = ask(&server, "/dead:replay", &json!({"ids": ["a"]})).await;
    assert_eq!(replayed, json!({"replayed": 1}));
    let purged = ask(&server, "/dead:purge", &json!({"all": true})).await;
    assert_eq!(purged, json!({"purged": 1}));
    let seen = stats(&server).await;
    assert_eq!((&seen["ready"], &seen["dead"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn what_cannot_be_done_with_a_queue_is_refused() {
    let server = Server::start().await;
    for (path, body, said) in [
        ("a%3Ab:push", json!({"jobs": []}), "name holds ':'"),
        ("a:push", json!({"jobs": [{"id": ""}]}), "id of a job"),
        ("a:push", json!({"jobs": [{"delay": "5"}]}), "\"delay\""),
        (
            "a:push",
            json!({"jobs": vec![json!({}); 1_001]}),
            "more than 1000",
        ),
        ("a:take", json!({"consumer": "a b"}), "consumer"),
        ("a:take", json!({"consumer": "a", "lease": "1ms"}), "lease"),
        (
            "a:take",
            json!({"consumer": "a", "max_attempts": 0}),
            "max_attempts",
        ),
        ("a/dead:purge", json!({}), "either"),
        ("a/dead:purge", json!({"ids": ["x"], "all": true}), "either"),
    ] {
        let refused = server.post(&format!("/v1/queues/{path}"), &body).await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{path} {body}: {detail}");
    }
    for path in ["a", "a:pull", "a/dead", "a/living:purge", "a/dead:revive"] {
        let missing = server
            .post(&format!("/v1/queues/{path}"), &json!({"all": true}))
            .await;
        problem(missing, 404, "no_such_route").await;
    }
}
