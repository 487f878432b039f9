use mainstay::pubsub::Item;
use serde_json::{Value, json};

use crate::server::{BOUND, Server, problem};

const CLOUD_EVENT: &str = "application/cloudevents+json";

async fn received(
    subscriber: &mut mainstay::pubsub::Subscriber<Value>,
) -> mainstay::pubsub::Event<Value> {
    let item = tokio::time::timeout(BOUND, subscriber.next()).await;
    let Item::Event { event, .. } = item.expect("an event comes") else {
        panic!("an event comes");
    };
    event
}

#[tokio::test]
async fn a_plain_event_gets_an_id_and_reaches_subscribers() {
    let server = Server::start().await;
    let channel = server.stay.channel::<Value>("alarms").build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    let body = json!({"type": "alarm.raised", "data": {"line": 4}, "subject": "press"});
    let accepted = server.post("/v1/channels/alarms/events", &body).await;
    assert_eq!(accepted.status(), 202);
    let answer: Value = accepted.json().await.unwrap();

    let event = received(&mut subscriber).await;
    assert_eq!(answer, json!({"receivers": 1, "id": event.id}));
    assert!(!event.id.is_empty());
    assert_eq!(event.kind, "alarm.raised");
    assert_eq!(event.source, "mainstay");
    assert_eq!(event.subject.as_deref(), Some("press"));
    assert_eq!(event.data, json!({"line": 4}));
}

#[tokio::test]
async fn a_cloud_event_keeps_its_attributes() {
    let server = Server::start().await;
    let channel = server.stay.channel::<Value>("alarms").build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    let sent = json!({
        "specversion": "1.0", "id": "e-1", "source": "/press/4", "type": "alarm.raised",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "datacontenttype": "application/json", "data": {"line": 4},
    });
    let accepted = server
        .post_as("/v1/channels/alarms/events", CLOUD_EVENT, &sent.to_string())
        .await;
    assert_eq!(accepted.status(), 202);
    let answer: Value = accepted.json().await.unwrap();
    assert_eq!(answer, json!({"receivers": 1, "id": "e-1"}));

    let event = received(&mut subscriber).await;
    assert_eq!(
        (event.id.as_str(), event.source.as_str()),
        ("e-1", "/press/4")
    );
    assert_eq!(event.traceparent.as_deref(), sent["traceparent"].as_str());
}

#[tokio::test]
async fn an_event_that_nobody_hears_is_accepted() {
    let server = Server::start().await;
    let body = json!({"type": "t", "id": "mine"});
    let accepted = server.post("/v1/channels/a%2Fb/events", &body).await;
    assert_eq!(accepted.status(), 202);
    let answer: Value = accepted.json().await.unwrap();
    assert_eq!(answer, json!({"receivers": 0, "id": "mine"}));
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let server = Server::start().await;
    for (body, said) in [
        (json!({"data": 1}), "missing field `type`"),
        (json!({"type": "", "data": 1}), "\"type\" is empty"),
        (json!({"type": "t", "delay": "5s"}), "unknown field `delay`"),
    ] {
        let refused = server.post("/v1/channels/alarms/events", &body).await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
    let whole = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t"});
    for attribute in ["specversion", "id", "source", "type"] {
        let mut body = whole.clone();
        body[attribute] = json!("");
        let refused = server
            .post_as("/v1/channels/alarms/events", CLOUD_EVENT, &body.to_string())
            .await;
        let document = problem(refused, 400, "invalid_input").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("\"{attribute}\"")), "{detail}");
    }
    let mut typed = whole.clone();
    typed["subject"] = json!(4);
    let refused = server
        .post_as(
            "/v1/channels/alarms/events",
            CLOUD_EVENT,
            &typed.to_string(),
        )
        .await;
    let document = problem(refused, 400, "invalid_input").await;
    let detail = document["detail"].as_str().unwrap();
    let said = "message is not the expected CloudEvent: invalid type: integer `4`";
    assert!(detail.starts_with(said), "{detail}");
    let refused = server
        .post("/v1/channels/a:b/events", &json!({"type": "t"}))
        .await;
    problem(refused, 400, "invalid_input").await;
}
