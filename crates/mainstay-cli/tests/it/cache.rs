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

#[tokio::test]
async fn entries_are_invalidated_by_tag_by_key_and_all_at_once() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let cache = |arguments: &[&str]| run(on(&url, &[&["cache"], arguments].concat()));
    for (key, tag) in [("a", "red"), ("b", "red"), ("c", "blue"), ("d", "blue")] {
        let set = cache(&["set", "things", key, "v", "--tag", tag]);
        assert_eq!(set.code, Some(0), "{}", set.stderr);
    }
    let done = cache(&[
        "invalidate",
        "things",
        "--tag",
        "red",
        "--key",
        "c",
        "--key",
        "none",
    ]);
    assert_eq!(done.stdout, "1 of 2 entries removed, 1 tags invalidated\n");
    let left = |key| cache(&["get", "things", key]).code == Some(0);
    assert_eq!(["a", "b", "c", "d"].map(left), [false, false, false, true]);
    let all = cache(&["invalidate", "things", "--all", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!(all["all"], true);
    assert!(!left("d"));
    assert_eq!(cache(&["invalidate", "things"]).code, Some(2));
}

#[tokio::test]
async fn the_stats_are_those_of_all_processes() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let stats = |arguments: &[&str]| run(on(&url, &[&["cache", "stats"], arguments].concat()));
    let none = stats(&["things"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("nothing is known of cache things"));
    for _ in 0..2 {
        let stay = mainstay::Mainstay::connect(&url).await.unwrap();
        let cache = stay.cache::<u8>("things").build().unwrap();
        cache.set("a", &1).await.unwrap();
        for key in ["a", "a", "a", "b"] {
            cache.get(key).await.unwrap();
        }
        cache.share_stats().await.unwrap();
    }
    let told = stats(&["things"]);
    let lines: Vec<_> = told.stdout.lines().map(str::split_whitespace).collect();
    let lines: Vec<Vec<_>> = lines.into_iter().map(Iterator::collect).collect();
    assert!(
        lines.contains(&vec!["remote", "hits", "6"]),
        "{}",
        told.stdout
    );
    assert!(
        lines.contains(&vec!["hit", "ratio", "75.0%"]),
        "{}",
        told.stdout
    );
    let json: serde_json::Value =
        serde_json::from_str(&stats(&["things", "--json"]).stdout).unwrap();
    assert_eq!(
        (&json["misses"], &json["hit_ratio"]),
        (&2.into(), &0.75.into())
    );
}
