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
