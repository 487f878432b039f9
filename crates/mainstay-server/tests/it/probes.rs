use mainstay::Options;
use serde_json::{Value, json};

use crate::server::{Server, header, problem};

#[tokio::test]
async fn the_index_lists_the_routes() {
    let server = Server::start().await;
    let index = server.get("/").await;
    assert_eq!(
        header(&index, "content-type"),
        Some("text/plain; charset=utf-8")
    );
    let text = index.text().await.unwrap();
    for route in [
        "/livez",
        "/metrics",
        "/v1/cache/",
        "/v1/stream",
        "/v1/sessions/current:rotate",
        "/v1/users/{user}/sessions/{id_hash}",
        ":acquire",
        "/v1/limits ",
        ":leave",
        "/json",
    ] {
        assert!(text.contains(route), "{route}");
    }
}

#[tokio::test]
async fn a_server_over_memory_lives_and_is_ready() {
    let server = Server::start().await;
    for (path, text) in [("/livez", "alive\n"), ("/readyz", "ready\n")] {
        let probe = server.get(path).await;
        assert_eq!(probe.status(), 200);
        assert_eq!(probe.text().await.unwrap(), text);
    }
    let verbose = server.get("/readyz?verbose").await;
    assert_eq!(verbose.status(), 200);
    let verbose: Value = verbose.json().await.unwrap();
    assert_eq!(verbose["backend"], "memory");
    assert_eq!(verbose["server"], "memory");
    assert!(verbose["version"].is_string());
    assert!(verbose["round_trip_ms"].is_f64());
    assert_eq!(verbose["warnings"], json!([]));
}

#[tokio::test]
async fn without_its_backend_the_server_lives_and_is_not_ready() {
    let options = Options::new().in_background();
    let stay = options.connect("redis://127.0.0.1:1").await.unwrap();
    let server = Server::over(stay, |_| ()).await;
    assert_eq!(server.get("/livez").await.status(), 200);
    for path in ["/readyz", "/readyz?verbose", "/v1/cache/c/k"] {
        let down = server.get(path).await;
        assert_eq!(header(&down, "retry-after"), Some("1"), "{path}");
        let document = problem(down, 503, "backend_unavailable").await;
        assert_eq!(document["retry_after_ms"], 1000);
    }
}
