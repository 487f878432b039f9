use mainstay::pubsub::{Event, Retention};
use mainstay_server::HistoryRule;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, problem};
use crate::sse::{Frames, data, field};

/// Channels `kept/..` keep the latest five events, others none.
async fn server() -> Server {
    Server::with(|config| {
        let rule = HistoryRule::new("kept/*", Retention::count(5)).unwrap();
        config.histories.push(rule);
    })
    .await
}

async fn publish(server: &Server, channel: &str, number: u32) -> Value {
    let path = format!("/v1/channels/{}/events", channel.replace('/', "%2F"));
    let body = json!({"type": "counted", "data": number});
    let sent = server.post(&path, &body).await;
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    sent.json().await.unwrap()
}

async fn come_back(server: &Server, path: &str, last: &str) -> Frames {
    let request = server.request(Method::GET, path);
    let response: Response = request.header("Last-Event-ID", last).send().await.unwrap();
    Frames::of(response)
}

/// The next event's id, channel and number; comments and places are passed over.
async fn next(frames: &mut Frames) -> (String, String, u64) {
    loop {
        let frame = frames.expect().await;
        if field(&frame, "data").is_some() {
            assert_eq!(field(&frame, "event"), Some("counted"), "{frame}");
            let event = data(&frame);
            let id = field(&frame, "id").unwrap().to_owned();
            let channel = event["channel"].as_str().unwrap().to_owned();
            return (id, channel, event["data"].as_u64().unwrap());
        }
    }
}

/// The next event of the server's own.
async fn reset(frames: &mut Frames) -> Value {
    loop {
        let frame = frames.expect().await;
        if field(&frame, "event") == Some("reset") {
            return data(&frame);
        }
        assert_eq!(field(&frame, "data"), None, "{frame}");
    }
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_with_all_its_channels() {
    let server = server().await;
    let path = "/v1/stream?channel=kept/a&channel=kept/b";
    let mut frames = Frames::of(server.get(path).await);
    for (channel, number) in [("kept/a", 1), ("kept/b", 2), ("kept/a", 3)] {
        publish(&server, channel, number).await;
    }
    let mut last = String::new();
    for expected in [("kept/a", 1), ("kept/b", 2), ("kept/a", 3)] {
        let (id, channel, number) = next(&mut frames).await;
        assert_eq!((channel.as_str(), number), expected);
        last = id;
    }
    drop(frames);
    for (channel, number) in [("kept/b", 4), ("kept/a", 5)] {
        publish(&server, channel, number).await;
    }
    let mut frames = come_back(&server, path, &last).await;
    let mut heard = [next(&mut frames).await, next(&mut frames).await]
        .map(|(_, channel, number)| (channel, number));
    heard.sort();
    assert_eq!(heard, [("kept/a".to_owned(), 5), ("kept/b".to_owned(), 4)]);

    // By the query where no header can be set; the header counts where both are.
    let asked = format!("{path}&last_event_id={last}");
    let mut frames = Frames::of(server.get(&asked).await);
    assert!([4, 5].contains(&next(&mut frames).await.2));
    let now = format!("{path}&last_event_id=nonsense");
    let mut frames = come_back(&server, &now, &last).await;
    assert!([4, 5].contains(&next(&mut frames).await.2));
}

#[tokio::test]
async fn who_is_cut_off_before_the_first_event_misses_none() {
    let server = server().await;
    let path = "/v1/stream?channel=kept/a";
    let mut frames = Frames::of(server.get(path).await);
    assert_eq!(frames.expect().await, "retry: 1000\n: connected");
    let place = frames.expect().await;
    let place = field(&place, "id").unwrap().to_owned();
    drop(frames);
    publish(&server, "kept/a", 7).await;
    assert_eq!(next(&mut come_back(&server, path, &place).await).await.2, 7);
}

#[tokio::test]
async fn what_the_retention_has_passed_is_one_reset() {
    let server = server().await;
    let path = "/v1/stream?channel=kept/a";
    let mut frames = Frames::of(server.get(path).await);
    publish(&server, "kept/a", 1).await;
    let (last, _, _) = next(&mut frames).await;
    drop(frames);
    for number in 2..=10 {
        publish(&server, "kept/a", number).await;
    }
    let mut frames = come_back(&server, path, &last).await;
    assert_eq!(
        reset(&mut frames).await,
        json!({"channels": ["kept/a"], "reason": "trimmed", "from": 2, "to": 5})
    );
    for number in 6..=10 {
        assert_eq!(next(&mut frames).await.2, number);
    }
}

#[tokio::test]
async fn channels_that_do_not_know_where_a_client_was_say_so() {
    let server = server().await;
    let path = "/v1/stream?channel=kept/a&channel=plain&channel=kept/b";
    let mut frames = Frames::of(server.get("/v1/stream?channel=kept/a").await);
    publish(&server, "kept/a", 1).await;
    let (last, _, _) = next(&mut frames).await;
    publish(&server, "kept/a", 2).await;
    let mut frames = come_back(&server, path, &last).await;
    assert_eq!(
        reset(&mut frames).await,
        json!({"channels": ["kept/b", "plain"], "reason": "no_history"})
    );
    let (id, _, number) = next(&mut frames).await;
    assert_eq!(number, 2);
    // An event of a channel without a history carries the place on the others.
    publish(&server, "plain", 3).await;
    let (later, channel, _) = next(&mut frames).await;
    assert_eq!((later, channel.as_str()), (id, "plain"));
    let mut frames = come_back(&server, path, "e-1").await;
    assert_eq!(
        reset(&mut frames).await["channels"],
        json!(["kept/a", "kept/b", "plain"])
    );
}

#[tokio::test]
async fn a_new_client_may_begin_with_the_oldest_event() {
    let server = server().await;
    for number in 1..=7 {
        publish(&server, "kept/a", number).await;
    }
    let path = "/v1/stream?channel=kept/a&from=beginning";
    let mut frames = Frames::of(server.get(path).await);
    for number in 3..=7 {
        assert_eq!(next(&mut frames).await.2, number);
    }
    let wrong = server.get("/v1/stream?channel=kept/a&from=end").await;
    let document = problem(wrong, 400, "invalid_input").await;
    assert_eq!(document["detail"], "\"from\" can only be \"beginning\"");
}

#[tokio::test]
async fn a_history_is_read_page_by_page() {
    let server = server().await;
    let mut positions = Vec::new();
    for number in 1..=7 {
        let answer = publish(&server, "kept/a", number).await;
        assert_eq!(
            (&answer["sequence"], &answer["repeated"]),
            (&number.into(), &false.into())
        );
        positions.push(answer["position"].as_str().unwrap().to_owned());
    }
    let path = "/v1/channels/kept%2Fa/events";
    let read = async |query: String| {
        let page = server.get(&format!("{path}{query}")).await;
        let page: Value = page.json().await.unwrap();
        page["items"].as_array().unwrap().clone()
    };
    let items = read("?limit=2".to_owned()).await;
    let numbers: Vec<_> = items.iter().map(|item| &item["event"]["data"]).collect();
    assert_eq!(numbers, [3, 4]);
    let next = items[1]["position"].as_str().unwrap();
    assert_eq!(next, positions[3]);
    assert_eq!(read(format!("?after={next}")).await.len(), 3);
    let items = read(format!("?after={}", positions[0])).await;
    let gap = json!({"gap": {"from": 2, "to": 2, "reason": "trimmed"}});
    assert_eq!((&items[0], items.len()), (&gap, 6));

    let wrong = server.get(&format!("{path}?after=x")).await;
    let document = problem(wrong, 400, "invalid_input").await;
    assert_eq!(
        document["detail"],
        "position is not one that was handed out"
    );
    let wrong = server.get(&format!("{path}?limit=1001")).await;
    let document = problem(wrong, 400, "invalid_input").await;
    assert_eq!(document["detail"], "\"limit\" must be between 1 and 1000");
    let none = server.get("/v1/channels/plain/events").await;
    problem(none, 404, "no_history").await;
}

#[tokio::test]
async fn an_event_with_an_id_of_its_own_is_kept_once() {
    let server = server().await;
    let body = json!({"type": "counted", "data": 1, "id": "mine"});
    let path = "/v1/channels/kept%2Fa/events";
    let first: Value = server.post(path, &body).await.json().await.unwrap();
    let again: Value = server.post(path, &body).await.json().await.unwrap();
    assert_eq!(first["position"], again["position"]);
    assert_eq!(
        (&first["repeated"], &again["repeated"]),
        (&false.into(), &true.into())
    );
    let page: Value = server.get(path).await.json().await.unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_slow_reader_of_a_history_misses_nothing() {
    let server = Server::with(|config| {
        let rule = HistoryRule::new("*", Retention::count(1_000)).unwrap();
        config.histories.push(rule);
    })
    .await;
    let mut frames = Frames::of(server.get("/v1/stream?channel=a").await);
    let kept = Retention::count(1_000);
    let channel = server.stay.channel::<String>("a").history(kept);
    let channel = channel.build().unwrap();
    let large = "x".repeat(500_000);
    for number in 0..64 {
        let event = Event::new("large", large.clone()).with_subject(number.to_string());
        channel.publish_event(&event).await.unwrap();
    }
    let mut heard = 0;
    while heard < 64 {
        let frame = frames.expect().await;
        if field(&frame, "event") == Some("large") {
            assert_eq!(data(&frame)["subject"], heard.to_string());
            heard += 1;
        }
        assert_ne!(field(&frame, "event"), Some("reset"));
    }
}
