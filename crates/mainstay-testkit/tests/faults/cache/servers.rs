//! Two HTTP servers over one Redis, each with near caches.

use mainstay_testkit::fixture::{Flavor, Server, eventually};
use reqwest::StatusCode;
use serde_json::json;

use super::super::http::Site;
use super::super::on_both_flavors;
use super::STALENESS;

const KEY: &str = "/v1/cache/prices/sku-1";

on_both_flavors! {
    servers_over_one_redis_agree_on_values_and_leases
}

async fn servers_over_one_redis_agree_on_values_and_leases(flavor: Flavor) {
    let redis = Server::start(flavor).await;
    let (a, b) = (Site::start(&redis).await, Site::start(&redis).await);
    let acquire = format!("{KEY}:acquire");
    let lease = async |site: &Site| {
        let answer = site.post(&acquire, json!({})).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["lease"].as_str().unwrap().to_owned()
    };
    let fill = async |site: &Site, lease: &str| {
        let request = site.client.post(site.url(&format!("{KEY}:fill")));
        let request = request
            .header("mainstay-lease", lease)
            .header("mainstay-tag", "shoes");
        request.body("9.90").send().await.unwrap().status()
    };
    let misses = async |site: &Site| {
        eventually("a miss", STALENESS, async || {
            match site.get(KEY).await.status() {
                StatusCode::NOT_FOUND => Ok(()),
                status => Err(status.to_string()),
            }
        })
        .await;
    };
    for asked in [
        json!({"keys": ["sku-1"]}),
        json!({"tags": ["shoes"]}),
        json!({"all": true}),
    ] {
        // One loads, the other waits; an invalidation by the other ends the lease.
        let held = lease(&a).await;
        assert_eq!(
            b.post(&acquire, json!({})).await.status(),
            StatusCode::ACCEPTED
        );
        let done = b.post("/v1/cache/prices:invalidate", asked.clone()).await;
        assert_eq!(done.status(), StatusCode::OK);
        let filled = fill(&a, &held).await;
        if asked["keys"].is_array() {
            assert_eq!(filled, StatusCode::CONFLICT);
        }
        // A tag may not have been heard of there yet: what was filled is then invalid already.
        assert!([StatusCode::CONFLICT, StatusCode::NO_CONTENT].contains(&filled));
        assert_eq!(b.get(KEY).await.status(), StatusCode::NOT_FOUND);
        misses(&a).await;
        a.post(&format!("{KEY}:give-up"), json!({"lease": held}))
            .await;

        // What one has filled the other has, in its process after a read.
        let held = lease(&a).await;
        assert_eq!(fill(&a, &held).await, StatusCode::NO_CONTENT);
        for _ in 0..2 {
            for site in [&a, &b] {
                let hit = site.get(KEY).await;
                assert_eq!(hit.status(), StatusCode::OK);
                assert_eq!(hit.text().await.unwrap(), "9.90");
            }
        }
        // And loses within the bound when one invalidates it; that one at once.
        let done = b.post("/v1/cache/prices:invalidate", asked).await;
        assert_eq!(done.status(), StatusCode::OK);
        assert_eq!(b.get(KEY).await.status(), StatusCode::NOT_FOUND);
        eventually("a miss", STALENESS, async || {
            match a.get(KEY).await.status() {
                StatusCode::NOT_FOUND => Ok(()),
                status => Err(status.to_string()),
            }
        })
        .await;
    }
    a.stop().await;
    b.stop().await;
}
