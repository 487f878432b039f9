//! `mainstay channel` against a server.

use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::{Value, json};

use crate::program::{Ended, on, run};

fn publish(url: &str, number: u32, more: &[&str]) -> Ended {
    let data = number.to_string();
    let event = ["channel", "publish", "alarms", "counted", &data];
    run(on(url, &[&event[..], &["--keep", "3"], more].concat()))
}

fn lines(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_channel_is_read_from_the_start_and_after_a_position() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let mut positions = Vec::new();
    for number in 1..=5 {
        let published = publish(&url, number, &[]);
        assert_eq!(published.code, Some(0), "{published:?}");
        positions.push(published.stdout.trim().to_owned());
    }
    let read = lines(&run(on(&url, &["channel", "read", "alarms", "--json"])));
    let numbers: Vec<_> = read.iter().map(|line| &line["event"]["data"]).collect();
    assert_eq!(numbers, [3, 4, 5]);
    assert_eq!(read[2]["position"], positions[4]);

    let after = ["channel", "read", "alarms", "--after", &positions[0]];
    let shown = run(on(&url, &after));
    let shown: Vec<_> = shown.stdout.lines().collect();
    assert_eq!(shown[0], "-- gap: 2 to 2 are missing, trimmed");
    assert!(shown[1].ends_with(" alarms counted 3"), "{shown:?}");
    assert_eq!(shown.len(), 4);

    let follow = [&after[..], &["--follow", "--limit", "2", "--json"]].concat();
    let read = lines(&run(on(&url, &follow)));
    let gap = json!({"gap": {"from": 2, "to": 2, "reason": "trimmed"}});
    assert_eq!((&read[0], &read[1]["event"]["data"]), (&gap, &json!(3)));
    assert_eq!(read.len(), 2);
}

#[tokio::test]
async fn an_id_is_published_once() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let first = publish(&url, 1, &["--id", "a"]);
    let again = publish(&url, 2, &["--id", "a"]);
    assert_eq!((first.code, again.code), (Some(0), Some(1)));
    assert_eq!(first.stdout, again.stdout);
    let read = lines(&run(on(&url, &["channel", "read", "alarms", "--json"])));
    assert_eq!(read.len(), 1);
    assert_eq!(read[0]["event"]["data"], 1);
}

#[test]
fn what_is_no_position_is_named() {
    let wrong = run(on(
        "memory:",
        &["channel", "read", "alarms", "--after", "x"],
    ));
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong
            .stderr
            .contains("position is not one that was handed out"),
        "{wrong:?}"
    );
    let wrong = run(on(
        "memory:",
        &["channel", "publish", "alarms", "x", "--keep", "0"],
    ));
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong
            .stderr
            .contains("a history keeps 1 to 10000000 events"),
        "{wrong:?}"
    );
}
