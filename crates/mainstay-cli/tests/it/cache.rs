//! `mainstay cache` against a server.

use mainstay_testkit::fixture::{Flavor, Server};

use crate::program::{on, run, run_with_input};

#[tokio::test]
async fn a_value_comes_back_as_it_was_and_is_gone_after_del() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let cache = |arguments: &[&str]| run(on(&url, &[&["cache"], arguments].concat()));

    let missing = cache(&["get", "prices", "sku-1"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
    assert_eq!(missing.stderr, "mainstay: cache prices has no such key\n");

    assert_eq!(
        cache(&["set", "prices", "sku-1", "9.90", "--ttl", "1h"]).code,
        Some(0)
    );
    let found = cache(&["get", "prices", "sku-1"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(0), "9.90"));

    let other = cache(&["get", "prices", "sku-1", "--namespace", "other"]);
    assert_eq!(other.code, Some(1));

    assert_eq!(cache(&["del", "prices", "sku-1"]).code, Some(0));
    assert_eq!(cache(&["del", "prices", "sku-1"]).code, Some(1));
    assert_eq!(cache(&["get", "prices", "sku-1"]).code, Some(1));
}

#[tokio::test]
async fn a_value_from_standard_input_is_kept_to_the_byte() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let set = on(&url, &["cache", "set", "texts", "a b:{c}", "--ttl=10s"]);
    assert_eq!(run_with_input(set, b"line\n\nend").code, Some(0));
    let found = run(on(&url, &["cache", "get", "texts", "a b:{c}"]));
    assert_eq!(found.stdout, "line\n\nend");

    let set = on(&url, &["cache", "set", "texts", "bytes"]);
    assert_eq!(run_with_input(set, b"\xff\0").code, Some(0));
    let found = run(on(&url, &["cache", "get", "texts", "bytes", "--json"])).stdout;
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["value_base64"], "/wA=");
    let left = found["ttl_ms"].as_u64().unwrap();
    assert!((200_000..=300_000).contains(&left), "{found}");
}
