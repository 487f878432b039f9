//! `mainstay pub` and `mainstay sub` against a server.

use std::io::{BufRead, BufReader};

use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::Value;

use crate::program::{Running, on, run, run_with_input, start};

/// Starts a subscriber of one event and waits until it listens.
fn subscribe(url: &str, more: &[&str]) -> Running {
    let mut running = start(on(url, &[&["-v", "sub", "--count", "1"], more].concat()));
    let mut log = BufReader::new(running.child().stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("subscribed") {
        assert_ne!(log.read_line(&mut seen).unwrap(), 0, "it ended:\n{seen}");
    }
    running
}

#[tokio::test]
async fn a_subscriber_prints_the_event_and_ends_after_its_count() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let people = subscribe(&url, &["alarms"]);
    let machine = subscribe(&url, &["other", "alarms", "--json"]);
    let data = br#"{"celsius":91.5,"note":"a\u001bb"}"#;
    let published = run_with_input(on(&url, &["pub", "alarms", "alarm.raised", "-"]), data);
    assert_eq!(
        (published.code, published.stdout.as_str()),
        (Some(0), "2 receivers\n")
    );

    let people = people.end();
    let machine = machine.end();
    assert_eq!((people.code, machine.code), (Some(0), Some(0)));
    let (time, rest) = people.stdout.split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert_eq!(
        rest,
        "alarms alarm.raised {\"celsius\":91.5,\"note\":\"a\\u001bb\"}\n"
    );
    let line: Value = serde_json::from_str(&machine.stdout).unwrap();
    assert_eq!(line["channel"], "alarms");
    assert_eq!(line["event"]["specversion"], "1.0");
    assert_eq!(line["event"]["type"], "alarm.raised");
    assert_eq!(line["event"]["data"]["celsius"], 91.5);
}

#[tokio::test]
async fn messages_of_other_programs_are_printed() {
    let server = Server::start(Flavor::Redis).await;
    let subscriber = subscribe(&server.url(), &["alarms", "--json"]);
    for message in ["no JSON", r#"{"type":"ping","n":1}"#] {
        server.command(&["PUBLISH", "alarms", message]).await;
    }
    let ended = subscriber.end();
    assert_eq!(ended.code, Some(0));
    let lines = ended.stdout.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [undecodable, event] = lines.as_slice() else {
        panic!("two lines: {lines:?}");
    };
    assert_eq!(
        undecodable["undecodable"],
        "message is not the expected JSON"
    );
    assert_eq!(event["event"]["type"], "ping");
    assert_eq!(event["event"]["data"]["n"], 1);
    assert_ne!(event["event"]["id"], "");
}

#[tokio::test]
async fn an_event_that_nobody_listens_to_has_no_receivers() {
    let server = Server::start(Flavor::Redis).await;
    let ended = run(on(&server.url(), &["pub", "alarms", "alarm.raised", "7"]));
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "0 receivers\n")
    );
    let ended = run(on(
        &server.url(),
        &["pub", "alarms", "alarm.raised", "--json"],
    ));
    assert_eq!(ended.stdout, "{\"receivers\":0}\n");
}
