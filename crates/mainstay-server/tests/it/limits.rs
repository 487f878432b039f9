use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Server, header, policies, problem};

async fn limited() -> (Server, mainstay::clock::ManualClock) {
    Server::on_a_clock(|config| config.limits = policies(&["api=3/1m"])).await
}

#[tokio::test]
async fn a_limit_counts_down_and_then_says_when_to_come_back() {
    let (server, clock) = limited().await;
    for remaining in [2, 1, 0] {
        let body = json!({"subject": "ip:1"});
        let allowed = server.post("/v1/limits/api:check", &body).await;
        assert_eq!(allowed.status(), 200);
        assert_eq!(
            header(&allowed, "ratelimit-policy"),
            Some("\"api\";q=3;w=60")
        );
        let limit = header(&allowed, "ratelimit").unwrap().to_owned();
        let answer: Value = allowed.json().await.unwrap();
        assert_eq!(answer["allowed"], true);
        assert_eq!(answer["limit"], 3);
        assert_eq!(answer["remaining"], remaining);
        let reset = answer["reset_after_ms"].as_u64().unwrap().div_ceil(1000);
        assert_eq!(limit, format!("\"api\";r={remaining};t={reset}"));
    }
    let body = json!({"subject": "ip:1", "cost": 1});
    let denied = server.post("/v1/limits/api:check", &body).await;
    assert_eq!(
        header(&denied, "ratelimit-policy"),
        Some("\"api\";q=3;w=60")
    );
    assert!(
        header(&denied, "ratelimit")
            .unwrap()
            .starts_with("\"api\";r=0;t=")
    );
    let retry_after = header(&denied, "retry-after").unwrap().to_owned();
    let document = problem(denied, 429, "rate_limited").await;
    assert_eq!(document["limit"], 3);
    let wait = document["retry_after_ms"].as_u64().unwrap();
    assert!((1..=61_000).contains(&wait), "{wait}");
    assert_eq!(retry_after, wait.div_ceil(1000).to_string());

    clock.advance(Duration::from_millis(wait));
    let again = server.post("/v1/limits/api:check", &body).await;
    assert_eq!(again.status(), 200);
    let other = server
        .post("/v1/limits/api:check", &json!({"subject": "ip:2"}))
        .await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn a_cost_above_the_limit_never_fits() {
    let (server, _clock) = limited().await;
    let body = json!({"subject": "ip:1", "cost": 4});
    let denied = server.post("/v1/limits/api:check", &body).await;
    assert_eq!(header(&denied, "retry-after"), None);
    let document = problem(denied, 429, "cost_above_limit").await;
    assert_eq!(document.get("retry_after_ms"), None);
    assert_eq!(document["remaining"], 3);
}

#[tokio::test]
async fn an_unknown_policy_names_the_known_ones() {
    let (server, _clock) = limited().await;
    let body = json!({"subject": "ip:1"});
    let unknown = server.post("/v1/limits/nope:check", &body).await;
    let document = problem(unknown, 404, "unknown_policy").await;
    assert_eq!(document["known"], json!(["api"]));
    assert_eq!(document["detail"], "no such policy; known here: api");
}

#[tokio::test]
async fn what_is_no_check_is_refused() {
    let (server, _clock) = limited().await;
    for (body, said) in [
        (json!({}), "missing field `subject`"),
        (json!({"subject": ""}), "empty"),
        (json!({"subject": "s", "cost": -1}), "-1"),
        (json!({"subject": "s", "cost": 1.5}), "1.5"),
        (json!({"subject": "s", "price": 1}), "unknown field `price`"),
        (
            json!({"subject": "s".repeat(65_536)}),
            "longer than 1024 bytes",
        ),
    ] {
        let refused = server.post("/v1/limits/api:check", &body).await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
    for path in [
        "/v1/limits/api",
        "/v1/limits/api:look",
        "/v1/limits/api%3Acheck",
    ] {
        let refused = server.post(path, &json!({"subject": "s"})).await;
        let document = problem(refused, 404, "no_such_route").await;
        assert_eq!(
            document["detail"],
            "write one of :check, :peek, :reset, :refund, :enter, :renew, :leave after the name"
        );
    }
}

#[tokio::test]
async fn several_policies_are_decided_on_in_one_step() {
    let (server, _clock) = Server::on_a_clock(|config| {
        config.limits = policies(&["api=3/1m", "day=5/day:fixed", "burst=9/1s:gcra,burst=2"]);
    })
    .await;
    let body = json!({"subject": "ip:1", "cost": 2, "token": "order-17"});
    for _ in 0..2 {
        let allowed = server.post("/v1/limits/api,day,burst:check", &body).await;
        assert_eq!(
            header(&allowed, "ratelimit-policy"),
            Some("\"api\";q=3;w=60, \"day\";q=5;w=86400, \"burst\";q=2;w=1")
        );
        let answer: Value = allowed.json().await.unwrap();
        let left: Vec<_> = answer["quotas"].as_array().unwrap().iter().collect();
        assert_eq!(
            left.iter().map(|it| &it["remaining"]).collect::<Vec<_>>(),
            [1, 3, 0]
        );
    }
    let body = json!({"subject": ["ip:1", "ip:1", "ip:2"], "cost": 2});
    let denied = server.post("/v1/limits/api,day,burst:check", &body).await;
    let document = problem(denied, 429, "rate_limited").await;
    assert_eq!(document["violated-policies"], json!(["api"]));
    assert_eq!(document["quotas"][2]["remaining"], 2);

    let twice = server.post("/v1/limits/api,api:check", &body).await;
    problem(twice, 400, "invalid_input").await;
    let peek = server
        .post(
            "/v1/limits/day:peek",
            &json!({"subject": "ip:1", "cost": 4}),
        )
        .await;
    problem(peek, 429, "rate_limited").await;
}

#[tokio::test]
async fn what_was_taken_is_given_back_or_forgotten() {
    let (server, _clock) = limited().await;
    let ask = async |verb: &str, body: Value| {
        let answer = server.post(&format!("/v1/limits/api:{verb}"), &body).await;
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()
    };
    let taken = ask("check", json!({"subject": "ip:1", "cost": 3})).await;
    let at = &taken["decided_at_us"];
    let back = json!({"subject": "ip:1", "cost": 2, "decided_at_us": at});
    assert_eq!(ask("refund", back).await, json!({"refunded": true}));
    assert_eq!(
        ask("peek", json!({"subject": "ip:1"})).await["remaining"],
        2
    );
    for reset in [true, false] {
        let answer = ask("reset", json!({"subject": "ip:1"})).await;
        assert_eq!(answer, json!({"reset": reset}));
    }
    assert_eq!(
        ask("peek", json!({"subject": "ip:1"})).await["remaining"],
        3
    );
    let refund = server
        .post("/v1/limits/api:refund", &json!({"subject": "ip:1"}))
        .await;
    let document = problem(refund, 400, "invalid_input").await;
    assert!(
        document["detail"]
            .as_str()
            .unwrap()
            .contains("decided_at_us")
    );
}

#[tokio::test]
async fn a_permit_is_kept_by_its_token_until_it_is_left() {
    let (server, clock) = Server::on_a_clock(|config| {
        config.limits = policies(&["export=1/30s:concurrent", "day=2/day:fixed"]);
    })
    .await;
    let subjects = json!({"subject": ["user:7", "all"]});
    let entered = server.post("/v1/limits/export,day:enter", &subjects).await;
    assert_eq!(entered.status(), 200);
    let entered: Value = entered.json().await.unwrap();
    let token = &entered["token"];
    assert_eq!(entered["expires_in_ms"], 30_000);
    assert_eq!(entered["quotas"][1]["remaining"], 1);
    let denied = server.post("/v1/limits/export,day:enter", &subjects).await;
    let document = problem(denied, 429, "rate_limited").await;
    assert_eq!(document["violated-policies"], json!(["export"]));

    clock.advance(Duration::from_secs(20));
    let permit = json!({"subject": "user:7", "token": token});
    let renewed = server.post("/v1/limits/export:renew", &permit).await;
    assert_eq!(
        renewed.json::<Value>().await.unwrap()["expires_in_ms"],
        30_000
    );
    clock.advance(Duration::from_secs(20));
    let left = server.post("/v1/limits/export:leave", &permit).await;
    assert_eq!(left.status(), 204);
    for verb in ["renew", "leave"] {
        let path = format!("/v1/limits/export:{verb}");
        let ended = server.post(&path, &permit).await;
        problem(ended, 409, "permit_not_out").await;
    }
    let nameless = server
        .post("/v1/limits/export:leave", &json!({"subject": "user:7"}))
        .await;
    let document = problem(nameless, 400, "invalid_input").await;
    assert!(
        document["detail"]
            .as_str()
            .unwrap()
            .contains("\"token\" is missing")
    );
    let checked = server
        .post("/v1/limits/export:check", &json!({"subject": "user:7"}))
        .await;
    problem(checked, 400, "invalid_input").await;
}

#[tokio::test]
async fn each_policy_has_its_subject_and_its_cost() {
    let (server, _clock) = Server::on_a_clock(|config| {
        config.limits = policies(&["requests=60/1m", "tokens=10000/1m"]);
    })
    .await;
    let body = json!({"subject": ["user:7", "team:1"], "cost": [1, 1200]});
    let path = "/v1/limits/requests,tokens:check";
    let answer: Value = server.post(path, &body).await.json().await.unwrap();
    let left = |answer: &Value| [0, 1].map(|index| answer["quotas"][index]["remaining"].clone());
    assert_eq!(left(&answer), [json!(59), json!(8_800)]);
    let times = [0, 1].map(|index| answer["quotas"][index]["decided_at_us"].clone());
    let mut back = body.clone();
    back["decided_at_us"] = json!(times);
    let refund = server
        .post("/v1/limits/requests,tokens:refund", &back)
        .await;
    assert_eq!(
        refund.json::<Value>().await.unwrap(),
        json!({"refunded": true})
    );
    let seen = server.post("/v1/limits/requests,tokens:peek", &body).await;
    assert_eq!(
        left(&seen.json().await.unwrap()),
        [json!(60), json!(10_000)]
    );
    let wrong = json!({"subject": ["user:7"]});
    let document = problem(server.post(path, &wrong).await, 400, "invalid_input").await;
    assert_eq!(
        document["detail"],
        "\"subject\" has 1 values for 2 policies: it takes one, or one for each"
    );
}

#[tokio::test]
async fn the_policies_are_listed() {
    let (server, _clock) = limited().await;
    let listed: Value = server.get("/v1/limits").await.json().await.unwrap();
    assert_eq!(
        listed,
        json!({"policies": [{"name": "api", "policy": "api=3/1m", "limit": 3, "capacity": 3, "period_ms": 60_000}]})
    );
}
