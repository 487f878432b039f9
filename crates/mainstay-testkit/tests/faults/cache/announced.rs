//! Logins without client tracking: near caches that live on announcements, or not at all.

use mainstay::Mainstay;
use mainstay_testkit::fixture::{FaultProxy, Flavor, Server, eventually};

use super::super::{BOUND, extent, login, on_both_flavors};
use super::{STALENESS, nimble, numbers};

on_both_flavors! {
    t5_without_tracking_nothing_is_kept_near_and_nothing_is_stale
    t5_announcements_keep_near_caches_coherent_though_some_are_lost
}

/// All but to ask for tracking.
const WITHOUT_TRACKING: [&str; 4] = ["~*", "&*", "+@all", "-client|tracking"];

async fn t5_without_tracking_nothing_is_kept_near_and_nothing_is_stale(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let login = login(&server, &WITHOUT_TRACKING).await;
    let url = format!("redis://{login}{}", server.addr());
    let (ours, theirs) = (nimble(&url).await, nimble(&server.url()).await);
    let (ours, theirs) = (numbers(&ours), numbers(&theirs));
    for value in 0..20 {
        theirs.set("key", &value).await.unwrap();
        assert_eq!(ours.get("key").await.unwrap(), Some(value));
        assert_eq!(ours.get("key").await.unwrap(), Some(value));
    }
    let stats = ours.stats();
    assert_eq!((stats.near_hits, stats.remote_hits), (0, 40));
}

async fn announcing(url: &str) -> Mainstay {
    nimble(&format!("{url}?invalidation=announcements")).await
}

async fn t5_announcements_keep_near_caches_coherent_though_some_are_lost(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let login = login(&server, &WITHOUT_TRACKING).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let through = announcing(&format!("redis://{login}{}", proxy.addr())).await;
    let past = announcing(&format!("redis://{login}{}", server.addr())).await;
    let tagged = |stay: &Mainstay| {
        let cache = stay.cache::<u64>("numbers").tag("all");
        cache.near(super::NEAR).build().unwrap()
    };
    let (reading, writing) = (tagged(&through), tagged(&past));
    let seen = async |wanted: Option<u64>| {
        eventually("what was written", STALENESS, async || {
            match reading
                .get("key")
                .await
                .map_err(|error| error.to_string())?
            {
                found if found == wanted => Ok(()),
                found => Err(format!("{found:?} instead of {wanted:?}")),
            }
        })
        .await;
    };
    for round in 0..extent(3, 30_u64) {
        for lost in [false, true] {
            if lost {
                proxy.swallow_pushes();
            }
            writing.set("key", &round).await.unwrap();
            seen(Some(round)).await;
            writing.remove("key").await.unwrap();
            seen(None).await;
            writing.set("key", &round).await.unwrap();
            seen(Some(round)).await;
            writing.invalidate_tags(["all"]).await.unwrap();
            seen(None).await;
            // Whoever has heard of it stores again what was loaded since.
            eventually("a load that is stored", STALENESS, async || {
                let load = move || async move { Ok::<_, std::io::Error>(round) };
                let loads = reading.stats().loads;
                for _ in 0..2 {
                    let read = reading.get_or_load("loaded", load).await;
                    assert_eq!(read.map_err(|error| error.to_string())?, round);
                }
                match reading.stats().loads - loads {
                    2 => Err("loaded each time".to_owned()),
                    _ => Ok(()),
                }
            })
            .await;
            writing.remove("loaded").await.unwrap();
            proxy.forward_pushes();
        }
    }
    writing.set("key", &7).await.unwrap();
    eventually("near hits", BOUND, async || {
        let before = reading.stats().near_hits;
        for _ in 0..3 {
            let read = reading
                .get("key")
                .await
                .map_err(|error| error.to_string())?;
            assert_eq!(read, Some(7));
        }
        match reading.stats().near_hits - before {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let stats = reading.stats();
    println!(
        "{flavor}: T5 announcements: {} near hits, every write seen within {STALENESS:?}",
        stats.near_hits
    );
    assert_eq!(stats.incoherent, 0);
}
