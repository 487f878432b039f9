//! Bytes that are no value of the cache, and versions of a service side by side.

use std::io;

use mainstay::ErrorKind;
use mainstay::cache::{Cache, Lookup};
use mainstay::codec::MessagePack;
use mainstay_testkit::fixture::{Flavor, Server};
use serde::{Deserialize, Serialize};

use super::super::{connect, extent, on_both_flavors};

const KEY: &str = "cache:users:7";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Old {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct New {
    first: String,
    last: String,
}

on_both_flavors! {
    t8_a_known_miss_a_miss_and_an_error_are_told_apart
    t8_damaged_and_foreign_bytes_are_a_miss_that_is_replaced
    t8_two_versions_do_not_overwrite_each_other_in_turn
}

async fn t8_a_known_miss_a_miss_and_an_error_are_told_apart(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let cache = stay
        .cache::<u64>("numbers")
        .near(super::NEAR)
        .build()
        .unwrap();
    assert_eq!(cache.lookup("k").await.unwrap(), Lookup::Miss);
    for _ in 0..3 {
        let none = || async { Ok::<Option<u64>, io::Error>(None) };
        assert_eq!(cache.get_or_load_optional("k", none).await.unwrap(), None);
    }
    assert_eq!(cache.stats().loads, 1);
    assert!(matches!(
        cache.lookup("k").await.unwrap(),
        Lookup::Negative(_)
    ));
    let fails = || async { Err::<Option<u64>, _>(io::Error::other("no source")) };
    let error = cache
        .get_or_load_optional("other", fails)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Loader);
    assert_eq!(cache.lookup("other").await.unwrap(), Lookup::Miss);
}

async fn t8_damaged_and_foreign_bytes_are_a_miss_that_is_replaced(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let cache: Cache<Old> = stay.cache("users").near(super::NEAR).build().unwrap();
    let value = Old {
        name: "Ada".to_owned(),
    };
    let mut rounds = 0;
    let mut misses = 0;
    let positions = extent(20, 400_u32);
    for position in 0..positions {
        for damage in ["truncate", "flip", "empty", "list", "text"] {
            cache.remove("7").await.unwrap();
            cache.set("7", &value).await.unwrap();
            assert_eq!(cache.get("7").await.unwrap().as_ref(), Some(&value));
            let length = server.command(&["STRLEN", KEY]).await.integer();
            let at = i64::from(position) % (length - 1);
            match damage {
                "truncate" => {
                    let script = "redis.call('SET', KEYS[1], string.sub(redis.call('GET', KEYS[1]), 1, ARGV[1]), 'KEEPTTL')";
                    server
                        .command(&["EVAL", script, "1", KEY, &at.to_string()])
                        .await;
                }
                "flip" => {
                    let offset = (at * 8 + i64::from(position) % 7 + 1).to_string();
                    let script = "redis.call('SETBIT', KEYS[1], ARGV[1], 1 - redis.call('GETBIT', KEYS[1], ARGV[1]))";
                    server.command(&["EVAL", script, "1", KEY, &offset]).await;
                }
                "empty" => drop(server.command(&["SET", KEY, ""]).await),
                "list" => {
                    server.command(&["DEL", KEY]).await;
                    server.command(&["RPUSH", KEY, "x"]).await;
                }
                _ => drop(server.command(&["SET", KEY, "{\"name\":1}"]).await),
            }
            // The first byte of the flags says whether it is stale, and may be set.
            let stale_bit = damage == "flip" && at == 3 && i64::from(position) % 7 + 1 == 8;
            let seen =
                mainstay_testkit::fixture::eventually("the damage", super::STALENESS, async || {
                    match cache.get("7").await {
                        Ok(None) => Ok(()),
                        other => Err(format!("{other:?}")),
                    }
                });
            if !stale_bit {
                seen.await;
                misses += 1;
            }
            let load = {
                let value = value.clone();
                || async { Ok::<_, io::Error>(value) }
            };
            assert_eq!(cache.get_or_load("7", load).await.unwrap(), value);
            let entry = cache.entry("7").await.unwrap();
            assert_eq!(
                entry.map(|entry| entry.value).as_ref(),
                Some(&value),
                "{damage} not replaced"
            );
            rounds += 1;
        }
    }
    println!("{flavor}: T8 {rounds} damaged entries: {misses} misses, all replaced");
}

async fn t8_two_versions_do_not_overwrite_each_other_in_turn(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let (old, new) = (connect(&server.url()).await, connect(&server.url()).await);
    let old: Cache<Old> = old
        .cache("users")
        .schema(1)
        .near(super::NEAR)
        .build()
        .unwrap();
    let new: Cache<New> = new
        .cache("users")
        .schema(2)
        .codec(MessagePack)
        .near(super::NEAR)
        .build()
        .unwrap();
    let rounds = extent(50, 1_000_u64);
    for _ in 0..rounds {
        let load = || async {
            Ok::<_, io::Error>(Old {
                name: "Ada Lovelace".to_owned(),
            })
        };
        assert_eq!(
            old.get_or_load("7", load).await.unwrap().name,
            "Ada Lovelace"
        );
        let load = || async {
            Ok::<_, io::Error>(New {
                first: "Ada".to_owned(),
                last: "Lovelace".to_owned(),
            })
        };
        assert_eq!(new.get_or_load("7", load).await.unwrap().last, "Lovelace");
    }
    let (old, new) = (old.stats(), new.stats());
    println!(
        "{flavor}: T8 {rounds} rounds of two versions: the new one loaded {} times, the old one {}",
        new.loads, old.loads
    );
    assert_eq!(new.loads, 1);
    assert_eq!(old.loads, rounds);
}
