//! `mainstay lock run` against a server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use mainstay_testkit::fixture::{Flavor, Server, eventually};

use crate::program::{Running, on, run, start};

const BOUND: Duration = Duration::from_secs(15);

/// Starts `sh -c script` under the lock and waits until it prints a line.
fn hold(url: &str, flags: &[&str], script: &str) -> (Running, String) {
    hold_one(url, "report", flags, script)
}

fn hold_one(url: &str, name: &str, flags: &[&str], script: &str) -> (Running, String) {
    let arguments = [&["lock", "run", name], flags, &["--", "sh", "-c", script]].concat();
    let mut running = start(on(url, &arguments));
    let mut line = String::new();
    BufReader::new(running.child().stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (running, line.trim_end().to_owned())
}

fn exists(process: &str) -> bool {
    // The state follows the name in brackets; Z has ended and was not waited for.
    let path = Path::new("/proc").join(process).join("stat");
    fs::read_to_string(path).is_ok_and(|stat| {
        let state = stat.rsplit(") ").next();
        state.is_some_and(|state| !state.starts_with(['Z', 'X']))
    })
}

async fn is_gone(process: &str) {
    eventually("the end of a process", BOUND, async || {
        if exists(process) {
            Err(process.to_owned())
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn the_command_gets_a_rising_fence_and_its_exit_code_is_passed_on() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let script = "echo $MAINSTAY_LOCK $MAINSTAY_FENCE; exit 42";
    let mut fences = Vec::new();
    for _ in 0..2 {
        let ended = run(on(
            &url,
            &["lock", "run", "report", "--", "sh", "-c", script],
        ));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(42), ""));
        let fence = ended.stdout.trim_end().strip_prefix("report ").unwrap();
        fences.push(fence.parse::<u64>().unwrap());
    }
    assert!(fences[0] < fences[1], "{fences:?}");
}

#[tokio::test]
async fn a_second_run_is_refused_while_the_lock_is_held_and_waits_if_told() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let (mut first, _) = hold(&url, &[], "echo started; exec sleep 60");
    let second = run(on(&url, &["lock", "run", "report", "--", "echo", "no"]));
    assert_eq!((second.code, second.stdout.as_str()), (Some(75), ""));
    assert!(
        second
            .stderr
            .starts_with("mainstay: lock report is held by "),
        "{second:?}"
    );

    let third = start(on(
        &url,
        &["lock", "run", "report", "--wait=15s", "--", "echo", "yes"],
    ));
    first.signal("TERM");
    assert_eq!(first.end().code, Some(128 + 15));
    let third = third.end();
    assert_eq!((third.code, third.stdout.as_str()), (Some(0), "yes\n"));
}

#[tokio::test]
async fn a_command_that_cannot_run_frees_the_lock() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    for (program, code) in [("/no/such/program", 127), ("/etc", 126), ("true", 0)] {
        let ended = run(on(&url, &["lock", "run", "report", "--", program]));
        assert_eq!(ended.code, Some(code), "{program}: {ended:?}");
    }
}

#[tokio::test]
async fn a_signal_is_passed_on_to_the_whole_group() {
    let server = Server::start(Flavor::Redis).await;
    let script = "trap 'exit 7' TERM; sleep 60 & echo $!; wait";
    let (mut running, grandchild) = hold(&server.url(), &[], script);
    assert!(exists(&grandchild));
    running.signal("TERM");
    assert_eq!(running.end().code, Some(7));
    is_gone(&grandchild).await;
}

#[tokio::test]
async fn a_lost_lock_ends_the_whole_group_with_exit_code_76() {
    let mut server = Server::start(Flavor::Redis).await;
    let flags = ["--ttl", "1s", "--grace", "200ms"];
    let stubborn = "trap '' TERM; sleep 60 & echo $!; wait; wait; wait";
    let (running, grandchild) = hold(&server.url(), &flags, stubborn);
    assert!(exists(&grandchild));
    server.kill();
    let ended = running.end();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("lock report was lost: ending the command"),
        "{ended:?}"
    );
    is_gone(&grandchild).await;
}

#[tokio::test]
async fn a_command_ends_with_the_process_that_holds_its_lock() {
    let server = Server::start(Flavor::Redis).await;
    let flags = ["--ttl", "1s", "--grace", "200ms"];
    let stubborn = "trap '' TERM; sleep 60 & echo $!; wait; wait; wait";
    for (signal, why) in [("KILL", "lost its holder"), ("STOP", "was not renewed")] {
        let wait = [&flags[..], &["--wait", "10s"]].concat();
        let (mut running, grandchild) = hold(&server.url(), &wait, stubborn);
        assert!(exists(&grandchild));
        running.signal(signal);
        is_gone(&grandchild).await;
        if signal == "STOP" {
            running.signal("CONT");
        }
        let ended = running.end();
        assert!(ended.stderr.contains(why), "{signal}: {ended:?}");
    }
}

#[tokio::test]
async fn a_command_ends_though_its_holder_is_killed_as_soon_as_it_has_begun() {
    let server = Server::start(Flavor::Redis).await;
    // It is a matter of microseconds what the holder has done by then.
    for round in 0..20 {
        let name = format!("report-{round}");
        let flags = ["--ttl", "10s", "--grace", "200ms"];
        let script = "echo $$; kill -KILL $PPID; exec sleep 60 2>/dev/null";
        let (running, command) = hold_one(&server.url(), &name, &flags, script);
        assert_eq!(running.end().code, None);
        is_gone(&command).await;
    }
}

#[tokio::test]
async fn a_backend_that_is_away_is_exit_code_2_and_runs_nothing() {
    let mut server = Server::start(Flavor::Redis).await;
    server.kill();
    let ended = run(on(
        &server.url(),
        &["lock", "run", "report", "--", "echo", "no"],
    ));
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_lock_is_shown_and_broken_for_its_holder() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let show = || run(on(&url, &["--json", "lock", "show", "report"]));
    let free = show();
    assert_eq!(free.code, Some(1));
    let (holder, fence) = hold(
        &url,
        &["--ttl", "2s"],
        "echo $MAINSTAY_FENCE; exec sleep 60",
    );
    let held = show();
    assert_eq!(held.code, Some(0));
    let held: serde_json::Value = serde_json::from_str(&held.stdout).unwrap();
    assert_eq!(held["holding"]["fence"].to_string(), fence);
    let freed = |fence: &str| {
        let reason = ["--reason", "its host hangs", "--fence", fence];
        run(on(
            &url,
            &[&["lock", "break", "report"][..], &reason].concat(),
        ))
    };
    assert_eq!(freed("1").code, Some(1));
    assert_eq!(freed(&fence).code, Some(0));
    let text = run(on(&url, &["lock", "show", "report"]));
    let text = text.stdout;
    assert!(
        text.contains("is free") && text.contains("its host hangs"),
        "{text}"
    );
    // The holder learns of it when it renews, and ends its command.
    assert_eq!(holder.end().code, Some(76));
}

#[tokio::test]
async fn what_is_held_is_listed_and_one_of_several_is_freed() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let none = run(on(&url, &["--json", "lock", "ls"]));
    let none: serde_json::Value = serde_json::from_str(&none.stdout).unwrap();
    assert_eq!(none, serde_json::json!({"locks": [], "is_all": true}));

    let stay = mainstay::Mainstay::connect(&url).await.unwrap();
    let report = stay.lock("report").build().unwrap();
    let _report = report.try_acquire().await.unwrap();
    let slots = NonZeroU32::new(3).unwrap();
    let imports = stay.semaphore("imports", slots).build().unwrap();
    let _first = imports.try_acquire().await.unwrap();
    let _second = imports.try_acquire().await.unwrap();
    let all = run(on(&url, &["lock", "ls"])).stdout;
    let kinds = all.lines().map(|line| line.split_whitespace().next());
    let kinds: Vec<_> = kinds.flatten().collect();
    assert_eq!(kinds, ["KIND", "lock", "semaphore", "semaphore"], "{all}");
    let some = run(on(&url, &["--json", "lock", "ls", "--limit", "1"]));
    let told: serde_json::Value = serde_json::from_str(&some.stdout).unwrap();
    assert_eq!(told["is_all"], false);
    assert!(some.stderr.contains("more than 1"), "{some:?}");

    let imports = ["imports", "--kind", "semaphore"];
    let freed = |more: &[&str]| {
        let reason = ["--reason", "gone"];
        let words = [&["lock", "break"][..], &imports, &reason, more].concat();
        run(on(&url, &words))
    };
    let which = freed(&[]);
    assert_eq!(which.code, Some(2));
    assert!(
        which.stderr.contains("2 hold semaphore imports"),
        "{which:?}"
    );
    let seen = run(on(
        &url,
        &[&["--json", "lock", "show"][..], &imports].concat(),
    ));
    let seen: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    let fence = seen["holdings"][0]["fence"].to_string();
    assert_eq!(freed(&["--fence", &fence]).code, Some(0));
    let rest = run(on(&url, &["--json", "lock", "ls", "--kind", "semaphore"]));
    let rest: serde_json::Value = serde_json::from_str(&rest.stdout).unwrap();
    assert_eq!(rest["locks"][0]["holdings"].as_array().unwrap().len(), 1);
    assert_eq!(rest["locks"].as_array().unwrap().len(), 1);
}
