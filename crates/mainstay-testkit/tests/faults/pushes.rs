//! The order that client-side caching rests on: an invalidation is seen before the reply of any
//! command that was sent after the write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ::redis::{PushInfo, PushKind, Value, cmd};
use mainstay_testkit::fixture::{Flavor, Server};

use super::{extent, on_both_flavors};

const KEYS: u32 = 64;

on_both_flavors! {
    an_invalidation_is_seen_before_a_later_reply
}

async fn an_invalidation_is_seen_before_a_later_reply(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let seen: Arc<Mutex<HashMap<Vec<u8>, u32>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let on_push = move |push: PushInfo| {
        if push.kind != PushKind::Invalidate {
            return;
        }
        for keys in push.data {
            let Value::Array(keys) = keys else { continue };
            for key in keys {
                let Value::BulkString(key) = key else {
                    continue;
                };
                *sink.lock().unwrap().entry(key).or_default() += 1;
            }
        }
    };
    let (mut tracking, _reader) = mainstay::raw_link(&server.url(), on_push).await.unwrap();
    let (mut writer, _writer) = mainstay::raw_link(&server.url(), drop).await.unwrap();
    let tracked: Value = cmd("CLIENT")
        .arg("TRACKING")
        .arg("ON")
        .query_async(&mut tracking)
        .await
        .unwrap();
    assert_eq!(tracked, Value::Okay);

    let rounds = extent(10_000_u32, 1_000_000);
    let mut exceptions = 0;
    for round in 0..rounds {
        let key = format!("key-{}", round % KEYS);
        let _: Value = cmd("GET")
            .arg(&key)
            .query_async(&mut tracking)
            .await
            .unwrap();
        let _: Value = cmd("SET")
            .arg(&key)
            .arg(round)
            .query_async(&mut writer)
            .await
            .unwrap();
        let _: Value = cmd("PING").query_async(&mut tracking).await.unwrap();
        let count = seen.lock().unwrap().get(key.as_bytes()).copied();
        if count != Some(round / KEYS + 1) {
            exceptions += 1;
        }
    }
    println!("{flavor}: {rounds} foreign writes, {exceptions} replies before their invalidation");
    assert_eq!(exceptions, 0);
}
