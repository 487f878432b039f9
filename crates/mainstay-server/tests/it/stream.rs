use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Server, header, problem};
use crate::sse::{Frames, data, field};

#[tokio::test]
async fn events_of_several_channels_arrive_in_order() {
    let server = Server::start().await;
    let response = server.get("/v1/stream?channel=a&channel=b&channel=a").await;
    assert_eq!(header(&response, "content-type"), Some("text/event-stream"));
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    assert_eq!(header(&response, "x-accel-buffering"), Some("no"));
    let mut frames = Frames::of(response);
    assert_eq!(frames.expect().await, "retry: 1000\n: connected");

    for (channel, number) in [("a", 1), ("b", 2), ("a", 3)] {
        let body = json!({"type": "counted", "data": number});
        let path = format!("/v1/channels/{channel}/events");
        let sent = server.post(&path, &body).await;
        let sent: Value = sent.json().await.unwrap();
        assert_eq!(sent["receivers"], 1);

        let frame = frames.expect().await;
        assert_eq!(field(&frame, "id"), sent["id"].as_str());
        assert_eq!(field(&frame, "event"), Some("counted"));
        let event = data(&frame);
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["id"], sent["id"]);
        assert_eq!(event["data"], number);
        assert_eq!(frame.lines().count(), 3);
    }
}

#[tokio::test]
async fn a_client_that_comes_back_is_told_that_there_is_no_history() {
    let server = Server::start().await;
    let response = server
        .request(Method::GET, "/v1/stream?channel=a&channel=b")
        .header("Last-Event-ID", "e-1")
        .send()
        .await
        .unwrap();
    let mut frames = Frames::of(response);
    assert_eq!(frames.expect().await, "retry: 1000\n: connected");
    let reset = frames.expect().await;
    assert_eq!(field(&reset, "event"), Some("reset"));
    assert_eq!(
        data(&reset),
        json!({"channels": ["a", "b"], "reason": "no_history"})
    );
}

#[tokio::test]
async fn a_publisher_cannot_write_frames_of_its_own() {
    let server = Server::start().await;
    let mut frames = Frames::of(server.get("/v1/stream?channel=a").await);
    frames.expect().await;
    for kind in ["reset", "undecodable"] {
        let body = json!({"type": kind, "data": "x\n\nevent: reset"});
        server.post("/v1/channels/a/events", &body).await;
        let frame = frames.expect().await;
        assert_eq!(field(&frame, "event"), None);
        assert_eq!(data(&frame)["type"], kind);
        assert_eq!(data(&frame)["data"], "x\n\nevent: reset");
    }
}

#[tokio::test]
async fn a_slow_reader_learns_that_it_missed_events() {
    let server = Server::start().await;
    let mut frames = Frames::of(server.get("/v1/stream?channel=a").await);
    frames.expect().await;
    let channel = server.stay.channel::<String>("a").build().unwrap();
    let large = "x".repeat(500_000);
    for _ in 0..64 {
        channel.publish("large", &large).await.unwrap();
    }
    loop {
        let frame = frames.expect().await;
        if field(&frame, "event") == Some("reset") {
            let data = data(&frame);
            assert_eq!(data["channels"], json!(["a"]));
            assert_eq!(data["reason"], "overflow");
            assert!(data["dropped"].as_u64().is_some_and(|dropped| dropped > 0));
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_shows_that_it_lives() {
    let server = Server::start().await;
    let mut frames = Frames::of(server.get("/v1/stream?channel=a").await);
    frames.expect().await;
    for _ in 0..3 {
        assert_eq!(frames.expect().await, ": heartbeat");
    }
}

#[tokio::test]
async fn channels_are_one_to_sixty_four_valid_names() {
    let server = Server::start().await;
    let many: Vec<String> = (0..65).map(|n| format!("channel=c{n}")).collect();
    for (path, said) in [
        ("/v1/stream".to_owned(), "no channel"),
        ("/v1/stream?channel=".to_owned(), "name is empty"),
        ("/v1/stream?channel=a%7Bb".to_owned(), "name holds '{'"),
        (
            format!("/v1/stream?{}", many.join("&")),
            "more than 64 channels",
        ),
        (
            "/v1/stream?chanel=a".to_owned(),
            "unknown parameter \"chanel\"",
        ),
    ] {
        let document = problem(server.get(&path).await, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
    let most = server
        .get(&format!("/v1/stream?{}", many[..64].join("&")))
        .await;
    assert_eq!(most.status(), 200);
}
