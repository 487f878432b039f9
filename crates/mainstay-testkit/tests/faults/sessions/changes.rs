//! Changes that requests make at a time are all kept.

use futures_util::future::join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::site::{Browser, Site, sessions};
use super::{connect, extent, on_both_flavors};

const REQUESTS: usize = 50;

on_both_flavors! {
    s3_fifty_requests_at_a_time_lose_no_key_and_no_count
}

async fn s3_fifty_requests_at_a_time_lose_no_key_and_no_count(flavor: Flavor) {
    let server = Server::start(flavor).await;
    // Two nodes of the site.
    let mut sites = Vec::new();
    for _ in 0..2 {
        let stay = connect(&server.url()).await;
        sites.push(Site::start(sessions(&stay)).await);
    }
    let rounds = extent(3, 40);
    for _ in 0..rounds {
        let mut browser = Browser::log_in(&sites[0], "ada").await;
        let nodes = sites.iter().map(|site| browser.at(site)).cycle();
        let requests = nodes
            .take(REQUESTS)
            .enumerate()
            .map(|(number, node)| async move {
                let path = format!("/visit/key{number}");
                node.peek(Method::POST, &path).await
            });
        for page in join_all(requests).await {
            assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        }
        let data = browser.get("/me").await.body["data"].clone();
        let mut expected: serde_json::Map<String, Value> = (0..REQUESTS)
            .map(|number| (format!("key{number}"), json!(true)))
            .collect();
        expected.insert("count".to_owned(), json!(REQUESTS));
        assert_eq!(data, Value::Object(expected));
    }
    println!(
        "{flavor}: S3 {rounds} rounds of {REQUESTS} requests at a time over 2 nodes: every key is there, each counter is {REQUESTS}"
    );
}
