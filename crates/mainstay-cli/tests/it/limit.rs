//! `mainstay limit` against a server.

use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::Value;

use crate::program::{on, run};

#[tokio::test]
async fn an_exhausted_limit_is_exit_code_1_with_the_time_to_come_back() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let check = |more: &[&str]| {
        let fixed = ["limit", "check", "api", "ip:1", "--limit", "2/1h"];
        run(on(&url, &[&fixed, more].concat()))
    };
    let first = check(&[]);
    assert_eq!(first.code, Some(0));
    assert!(
        first
            .stdout
            .starts_with("allowed: 1 of 2 remaining, reset in "),
        "{first:?}"
    );

    let dear = check(&["--cost", "3"]);
    assert_eq!(dear.code, Some(1));
    assert_eq!(
        dear.stdout,
        "denied: 1 of 2 remaining, the cost is above the limit\n"
    );

    assert_eq!(check(&[]).code, Some(0));
    let denied = check(&["--json"]);
    assert_eq!((denied.code, denied.stderr.as_str()), (Some(1), ""));
    let denied: Value = serde_json::from_str(&denied.stdout).unwrap();
    assert_eq!(
        (&denied["allowed"], &denied["remaining"]),
        (&false.into(), &0.into())
    );
    assert!(
        denied["retry_after_ms"].as_u64().unwrap() > 3_500_000,
        "{denied}"
    );
}

#[tokio::test]
async fn several_policies_are_asked_together_looked_at_and_reset() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let limit = |verb: &str, more: &[&str]| {
        let of = ["--limit", "2/1h:gcra", "--and", "day=3/day:fixed"];
        let fixed = ["limit", verb, "api", "ip:1"];
        run(on(&url, &[&fixed[..], &of, more].concat()))
    };
    let first = limit("check", &[]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let lines: Vec<_> = first.stdout.lines().collect();
    assert_eq!(lines[0], "allowed");
    assert!(
        lines[1].starts_with("  api: 1 of 2 remaining, reset in "),
        "{first:?}"
    );
    assert!(
        lines[2].starts_with("  day: 2 of 3 remaining, reset in "),
        "{first:?}"
    );

    let peek = limit("peek", &["--cost", "2", "--json"]);
    assert_eq!(peek.code, Some(1), "{peek:?}");
    let peek: Value = serde_json::from_str(&peek.stdout).unwrap();
    assert_eq!(peek["quotas"][0]["policy"], "api");
    assert_eq!(peek["quotas"][0]["allowed"], false);
    assert_eq!(peek["quotas"][1]["remaining"], 2);
    assert_eq!(peek["retry_after_ms"], peek["quotas"][0]["retry_after_ms"]);

    for (code, said) in [
        (0, "api of ip:1 begins anew\n"),
        (1, "nothing was counted for api of ip:1\n"),
    ] {
        let reset = run(on(&url, &["limit", "reset", "api", "ip:1"]));
        assert_eq!((reset.code, reset.stdout.as_str()), (Some(code), said));
    }
    let again = limit("peek", &["--cost", "2"]);
    assert_eq!(again.code, Some(0), "{again:?}");

    let unknown = run(on(
        &url,
        &["limit", "check", "api", "ip:1", "--limit", "2/1h:leaky"],
    ));
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .stderr
            .contains("allowed are window, exact, gcra, fixed"),
        "{unknown:?}"
    );
}
