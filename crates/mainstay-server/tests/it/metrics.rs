use serde_json::json;

use crate::server::{Server, header};

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_key() {
    let server = Server::start().await;
    server.get("/v1/cache/metered/secret-key").await;
    let lock = "/v1/locks/metered%2Fsecret-lock:acquire";
    server.post(lock, &json!({})).await;
    server.get("/nowhere/secret-path").await;
    let rendered = server.get("/metrics").await;
    assert_eq!(
        header(&rendered, "content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = rendered.text().await.unwrap();
    for (route, method, status) in [
        ("/v1/cache/{cache}/{key}", "GET", 404),
        ("/v1/locks/{name}:acquire", "POST", 200),
        ("unmatched", "GET", 404),
    ] {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        for series in [
            format!("mainstay_http_requests_total{{{labels}}} "),
            format!("mainstay_http_request_duration_seconds_bucket{{{labels},le=\"0.001\"}} "),
        ] {
            assert!(text.contains(&series), "{series}\n{text}");
        }
    }
    for series in [
        "mainstay_lock_acquired_total{lock=\"metered\"} 1",
        "mainstay_lock_wait_seconds_count{lock=\"metered\"} 1",
    ] {
        assert!(text.contains(series), "{series}\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
}
