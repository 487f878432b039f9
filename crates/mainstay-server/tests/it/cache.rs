use std::time::Duration;

use crate::server::{Server, header, problem};

#[tokio::test]
async fn a_value_comes_back_with_its_age_and_the_time_it_has_left() {
    let (server, clock) = Server::on_a_clock(|_| ()).await;
    let put = server
        .put("/v1/cache/prices/sku-1?ttl=60s", &b"\0\xff"[..])
        .await;
    assert_eq!(put.status(), 204);
    clock.advance(Duration::from_secs(3));

    let hit = server.get("/v1/cache/prices/sku-1").await;
    assert_eq!(hit.status(), 200);
    assert_eq!(header(&hit, "age"), Some("3"));
    assert_eq!(header(&hit, "cache-status"), Some("mainstay; hit; ttl=57"));
    assert_eq!(
        header(&hit, "content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(header(&hit, "x-content-type-options"), Some("nosniff"));
    assert_eq!(hit.bytes().await.unwrap(), &b"\0\xff"[..]);

    clock.advance(Duration::from_secs(57));
    problem(
        server.get("/v1/cache/prices/sku-1").await,
        404,
        "cache_miss",
    )
    .await;
}

#[tokio::test]
async fn a_value_lives_five_minutes_unless_told_otherwise() {
    let (server, _clock) = Server::on_a_clock(|_| ()).await;
    server.put("/v1/cache/prices/sku-1", "1").await;
    let hit = server.get("/v1/cache/prices/sku-1").await;
    assert_eq!(header(&hit, "cache-status"), Some("mainstay; hit; ttl=300"));
}

#[tokio::test]
async fn a_miss_is_a_problem_with_a_cache_status() {
    let server = Server::start().await;
    let miss = server.get("/v1/cache/prices/none").await;
    assert_eq!(header(&miss, "cache-status"), Some("mainstay; detail=miss"));
    problem(miss, 404, "cache_miss").await;
}

#[tokio::test]
async fn removing_succeeds_whether_or_not_there_was_a_value() {
    let server = Server::start().await;
    server.put("/v1/cache/prices/sku-1", "1").await;
    for _ in 0..2 {
        let removed = server.delete("/v1/cache/prices/sku-1").await;
        assert_eq!(removed.status(), 204);
    }
    assert_eq!(server.get("/v1/cache/prices/sku-1").await.status(), 404);
}

#[tokio::test]
async fn an_escaped_key_is_data_and_reaches_no_other_key() {
    let server = Server::start().await;
    for key in ["a:b", "a%3Ab", "%7Bu%7D", "a%2Fb", "%C3%A4", "a%253Ab"] {
        let put = server
            .put(&format!("/v1/cache/c/{key}"), key.to_owned())
            .await;
        assert_eq!(put.status(), 204, "{key}");
    }
    let text = async |key: &str| {
        let hit = server.get(&format!("/v1/cache/c/{key}")).await;
        hit.text().await.unwrap()
    };
    assert_eq!(text("a:b").await, "a%3Ab", "both spell a:b");
    assert_eq!(text("a%253Ab").await, "a%253Ab");
    assert_eq!(text("a%2Fb").await, "a%2Fb");
    let kept = server
        .stay
        .cache::<bytes::Bytes>("c")
        .codec(mainstay::codec::Raw);
    let kept = kept.build().unwrap().get("{u}").await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"%7Bu%7D"[..]));
}

#[tokio::test]
async fn what_cannot_be_a_cache_or_key_is_refused_by_name() {
    let server = Server::start().await;
    for (path, said) in [
        ("/v1/cache/a%7Bb%7D/k", "name holds '{'"),
        ("/v1/cache/a:b/k", "name holds ':'"),
        ("/v1/cache/a%00/k", "name holds '\\0'"),
        ("/v1/cache/c/nul%00", "control character U+0000"),
        ("/v1/cache/c/%ff", "not UTF-8"),
        (
            &format!("/v1/cache/c/{}", "k".repeat(60_000)),
            "longer than 1024 bytes",
        ),
    ] {
        for response in [
            server.get(path).await,
            server.put(path, "v").await,
            server.delete(path).await,
        ] {
            let document = problem(response, 400, "invalid_input").await;
            let detail = document["detail"].as_str().unwrap();
            assert!(detail.contains(said), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_ttl_needs_a_unit_and_a_sense() {
    let server = Server::start().await;
    let advice = "is not a duration: write a number and a unit, as in 300s or 5m";
    for (ttl, said) in [
        ("-5s", format!("\"ttl\": \"-5s\" {advice}")),
        ("5", format!("\"ttl\": \"5\" {advice}")),
        ("", format!("\"ttl\": \"\" {advice}")),
        ("0s", "ttl is zero: it must be at least 1 ms".to_owned()),
        ("11years", "ttl is longer than 10 years".to_owned()),
    ] {
        let path = format!("/v1/cache/c/k?ttl={ttl}");
        let document = problem(server.put(&path, "v").await, 400, "invalid_input").await;
        assert_eq!(document["detail"], said);
    }
}

#[tokio::test]
async fn parameters_are_known_and_given_once() {
    let server = Server::start().await;
    let unknown = server.put("/v1/cache/c/k?tll=5s", "v").await;
    let document = problem(unknown, 400, "invalid_input").await;
    assert_eq!(
        document["detail"],
        "unknown parameter \"tll\": known here: ttl"
    );
    let twice = server.put("/v1/cache/c/k?ttl=5s&ttl=6s", "v").await;
    let document = problem(twice, 400, "invalid_input").await;
    assert_eq!(
        document["detail"],
        "parameter \"ttl\" is given more than once"
    );
    problem(
        server.get("/v1/cache/c/k?ttl=5s").await,
        400,
        "invalid_input",
    )
    .await;
}
