//! `mainstay queue` against a server.

use std::time::Duration;

use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use serde_json::Value;

use crate::program::{Ended, on, run, start};

const BOUND: Duration = Duration::from_secs(15);

async fn stats(url: &str) -> mainstay::queue::QueueStats {
    let stay = Mainstay::connect(url).await.unwrap();
    let queue = stay.queue::<Value>("reports").build().unwrap();
    queue.stats().await.unwrap()
}

fn queue(url: &str, words: &[&str]) -> Ended {
    run(on(url, &[&["queue"], words].concat()))
}

#[tokio::test]
async fn a_job_is_pushed_once_an_id() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let push = |more: &[&str]| {
        queue(
            &url,
            &[&["push", "reports", "{\"plant\":7}"], more].concat(),
        )
    };
    let first = push(&["--id", "seven", "--key", "plant-7"]);
    assert_eq!(
        (first.code, first.stdout.as_str()),
        (Some(0), "added seven\n")
    );
    let again = push(&["--id", "seven", "--json"]);
    let said: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((again.code, &said["push"]), (Some(1), &"duplicate".into()));
    assert_eq!(push(&["--delay", "1h"]).code, Some(0));
    assert_eq!(queue(&url, &["push", "reports", "no json"]).code, Some(2));
    let show = queue(&url, &["show", "reports", "--json"]);
    let show: Value = serde_json::from_str(&show.stdout).unwrap();
    assert_eq!((&show["ready"], &show["delayed"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn a_command_is_run_for_each_job_and_its_exit_code_decides() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    for (id, data) in [("good", "\"good\""), ("bad", "\"bad\"")] {
        let pushed = queue(&url, &["push", "reports", data, "--id", id, "--key", "k"]);
        assert_eq!(pushed.code, Some(0), "{pushed:?}");
    }
    let script = "read job; echo $MAINSTAY_JOB $MAINSTAY_ATTEMPT $job $MAINSTAY_KEY; test \"$job\" = '\"good\"'";
    let flags = [
        "queue",
        "work",
        "reports",
        "--max-attempts",
        "2",
        "--backoff",
        "10ms",
    ];
    let mut running = start(on(
        &url,
        &[&flags[..], &["--", "sh", "-c", script]].concat(),
    ));
    eventually("a dead letter", BOUND, async || {
        let stats = stats(&url).await;
        if stats.dead == 1 {
            Ok(())
        } else {
            Err(format!("{stats:?}"))
        }
    })
    .await;
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let wanted = "good 1 \"good\" k\nbad 1 \"bad\" k\nbad 2 \"bad\" k\n";
    assert_eq!(ended.stdout, wanted);
    assert!(
        ended
            .stderr
            .contains("job bad is dead: the command ended with exit status: 1"),
        "{ended:?}"
    );

    let listed = queue(&url, &["dead", "ls", "reports", "--json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let letter = &listed["letters"][0];
    assert_eq!(
        (&letter["id"], &letter["attempts"]),
        (&"bad".into(), &2.into())
    );
    assert_eq!(
        (&letter["payload"], &letter["key"]),
        (&"bad".into(), &"k".into())
    );
    let people = queue(&url, &["dead", "ls", "reports"]);
    assert!(people.stdout.starts_with("bad  20"), "{people:?}");
    let replayed = queue(&url, &["dead", "replay", "reports", "--all"]);
    assert_eq!(
        (replayed.code, replayed.stdout.as_str()),
        (Some(0), "replayed 1\n")
    );
    assert_eq!(stats(&url).await.ready, 1);
    assert_eq!(
        queue(&url, &["dead", "purge", "reports", "bad"]).code,
        Some(1)
    );
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_and_its_job_has_failed() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    assert_eq!(queue(&url, &["push", "reports", "1"]).code, Some(0));
    let flags = [
        "queue",
        "work",
        "reports",
        "--max-attempts",
        "1",
        "--deadline",
        "200ms",
    ];
    let script = "sleep 1000 & wait";
    let mut running = start(on(
        &url,
        &[&flags[..], &["--", "sh", "-c", script]].concat(),
    ));
    eventually("a dead letter", BOUND, async || {
        let stats = stats(&url).await;
        if stats.dead == 1 {
            Ok(())
        } else {
            Err(format!("{stats:?}"))
        }
    })
    .await;
    running.signal("INT");
    // What it started holds the output open, unless it was ended, too.
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("longer than the deadline"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_command_that_cannot_be_started_costs_no_attempt() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    assert_eq!(queue(&url, &["push", "reports", "1"]).code, Some(0));
    let failed = queue(
        &url,
        &["work", "reports", "--max-attempts", "1", "--", "/no/such"],
    );
    assert_eq!(failed.code, Some(2), "{failed:?}");
    assert!(
        failed.stderr.contains("cannot start the command"),
        "{failed:?}"
    );
    let stats = stats(&url).await;
    assert_eq!((stats.ready, stats.in_flight, stats.dead), (1, 0, 0));
}
