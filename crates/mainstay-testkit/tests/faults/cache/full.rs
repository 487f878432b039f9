//! A backend that has no room: it refuses what is to be stored, and nothing that invalidates.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use mainstay::ErrorKind;
use mainstay::cache::EntryOptions;
use mainstay_testkit::fixture::{Flavor, Server};

use super::super::{in_time, on_both_flavors};
use super::{NEAR, from_source, nimble, numbers};

on_both_flavors! {
    t6_without_room_loads_are_answered_and_invalidations_hold
}

async fn t6_without_room_loads_are_answered_and_invalidations_hold(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = nimble(&server.url()).await;
    let cache = numbers(&stay);
    // A process of its own hears of it all from the server.
    let elsewhere = numbers(&nimble(&server.url()).await);
    let source = Arc::new(AtomicU64::new(1));
    let old = ["removed", "replaced", "expired", "tagged", "cleared"];
    for key in old {
        let tag = EntryOptions::new().tag(key);
        cache.set_with(key, &7, tag).await.unwrap();
        for cache in [&cache, &elsewhere] {
            assert_eq!(cache.get(key).await.unwrap(), Some(7));
        }
    }
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;

    for key in 0..20 {
        let load = from_source(&source);
        let got = in_time("get_or_load", cache.get_or_load(&format!("oom{key}"), load)).await;
        assert_eq!(got.unwrap(), 1);
    }
    assert!(in_time("remove", cache.remove("removed")).await.unwrap());
    assert!(in_time("expire", cache.expire("expired")).await.unwrap());
    let tagged = cache.invalidate_tags(["tagged"]);
    in_time("invalidate_tags", tagged).await.unwrap();
    // There is no room even for the number that its tags are compared with.
    let refused = in_time("set", cache.set("replaced", &1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    for key in ["removed", "replaced", "expired", "tagged"] {
        assert_eq!(cache.get(key).await.unwrap(), None, "{key}");
    }
    assert_eq!(cache.get("cleared").await.unwrap(), Some(7));
    in_time("clear", cache.clear()).await.unwrap();
    assert_eq!(cache.get("cleared").await.unwrap(), None);
    tokio::time::sleep(super::STALENESS).await;
    for key in old {
        assert_eq!(elsewhere.get(key).await.unwrap(), None, "{key} elsewhere");
    }

    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let tagged = stay.cache::<u64>("numbers").tag("tagged").near(NEAR);
    let tagged = tagged.build().unwrap();
    for key in old {
        let stored = tagged.get_or_load(key, from_source(&source)).await;
        assert_eq!(stored.unwrap(), 1);
        assert_eq!(elsewhere.get(key).await.unwrap(), Some(1), "{key} anew");
    }
    println!("{flavor}: T6 -OOM: 20 loads were answered, 5 invalidations held, nothing came back");
}
