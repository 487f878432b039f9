//! Bad input: exit code 2, and one message that says what is wrong.

use crate::program::{mainstay, on, run};

/// Nobody listens there: whatever gets that far fails differently.
const NOWHERE: &str = "redis://127.0.0.1:1";

fn refused(url: &str, arguments: &[&str]) -> String {
    let ended = run(on(url, arguments));
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
    ended.stderr
}

#[test]
fn a_wrong_url_is_refused_with_the_reason() {
    for (url, reason) in [
        ("localhost:6379", "no scheme"),
        ("http://localhost", "unknown scheme \"http\""),
        ("redis://localhost:99999", "invalid port"),
        ("redis://localhost/x", "database \"x\" is not a number"),
        ("redis://localhost?ttl=5s", "unknown url parameter \"ttl\""),
    ] {
        let message = refused(url, &["cache", "get", "c", "k"]);
        assert!(message.starts_with("mainstay: "), "{url}: {message}");
        assert!(message.contains(reason), "{url}: {message}");
        assert_eq!(message.lines().count(), 1, "{url}: {message}");
        let message = refused(url, &["serve", "--listen", "127.0.0.1:0"]);
        assert!(message.contains(reason), "serve, {url}: {message}");
    }
}

#[test]
fn a_password_in_a_url_is_never_shown() {
    let message = refused(
        "redis://ann:hunter2@127.0.0.1:1/x",
        &["cache", "get", "c", "k"],
    );
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn a_name_with_a_character_that_is_not_allowed_is_refused_before_connecting() {
    for (name, shown) in [
        ("a{b}", "'{'"),
        ("a:b", "':'"),
        ("a\u{1}", "'\\u{1}'"),
        ("a b", "' '"),
    ] {
        for arguments in [
            &["cache", "get", name, "k"][..],
            &["cache", "set", name, "k", "v"],
            &["cache", "del", name, "k"],
            &["pub", name, "type"],
            &["sub", "fine", name],
            &["lock", "run", name, "--", "true"],
            &["limit", "check", name, "s", "--limit", "1/1s"],
        ] {
            let message = refused(NOWHERE, arguments);
            assert!(
                message.contains(&format!("holds {shown}")),
                "{arguments:?}: {message}"
            );
        }
    }
    let message = refused(NOWHERE, &["--namespace", "a{b}", "cache", "get", "c", "k"]);
    assert!(
        message.starts_with("mainstay: namespace holds '{'"),
        "{message}"
    );
}

#[test]
fn a_key_of_64_kib_or_with_a_control_character_is_refused() {
    let long = "k".repeat(65_536);
    for arguments in [
        &["cache", "get", "c", &long][..],
        &["limit", "check", "p", &long, "--limit", "1/1s"],
        &["session", "ls", &long],
        &["session", "revoke", &long, "--all"],
    ] {
        assert_eq!(
            refused(NOWHERE, arguments),
            "mainstay: key is longer than 1024 bytes\n"
        );
    }
    let message = refused(NOWHERE, &["cache", "get", "c", "a\u{7}"]);
    assert!(message.contains("control character U+0007"), "{message}");
}

#[test]
fn a_duration_without_a_unit_or_below_zero_is_refused() {
    for ttl in ["--ttl=-5s", "--ttl=5", "--ttl="] {
        let message = refused(NOWHERE, &["cache", "set", "c", "k", "v", ttl]);
        assert!(message.contains("--ttl"), "{ttl}: {message}");
        let message = refused(NOWHERE, &["lock", "run", "l", ttl, "--", "true"]);
        assert!(message.contains("--ttl"), "{ttl}: {message}");
    }
    let message = refused(NOWHERE, &["cache", "set", "c", "k", "v", "--ttl", "-5s"]);
    assert!(
        message.contains("expected a duration with a unit"),
        "{message}"
    );
    let message = refused(NOWHERE, &["cache", "set", "c", "k", "v", "--ttl", "0s"]);
    assert_eq!(message, "mainstay: ttl is zero: it must be at least 1 ms\n");
}

#[test]
fn data_that_is_not_json_is_refused_with_a_hint_to_quote() {
    let message = refused(NOWHERE, &["pub", "alarms", "alarm.raised", "over heating"]);
    assert!(
        message.contains("is not JSON (a string needs quotes"),
        "{message}"
    );
}

#[test]
fn a_wrong_limit_is_refused() {
    for limit in ["100", "0/1m", "x/1m", "100/soon", "100/1m:gcra"] {
        let message = refused(NOWHERE, &["limit", "check", "p", "s", "--limit", limit]);
        assert!(message.starts_with("mainstay: "), "{limit}: {message}");
    }
}

#[test]
fn the_memory_backend_is_refused_by_every_command_that_needs_a_shared_store() {
    let hash = "h".repeat(32);
    for url in ["memory:", "memory://", "memory:?retries=1"] {
        for arguments in [
            &["cache", "get", "c", "k"][..],
            &["cache", "set", "c", "k", "v"],
            &["cache", "del", "c", "k"],
            &["pub", "c", "t"],
            &["sub", "c"],
            &["lock", "run", "l", "--", "true"],
            &["limit", "check", "p", "s", "--limit", "1/1s"],
            &["queue", "push", "q", "1"],
            &["queue", "work", "q", "--", "true"],
            &["session", "ls", "u"],
            &["session", "show", "u", &hash],
            &["session", "revoke", "u", "--all"],
        ] {
            assert_eq!(
                refused(url, arguments),
                "mainstay: the memory backend lives inside one process: \
                 pass --url redis://host:port or set MAINSTAY_URL\n"
            );
        }
    }
    let ended = run(mainstay(["cache", "get", "c", "k"]));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("memory backend"), "{ended:?}");
}

#[test]
fn a_server_that_is_away_is_an_error_that_says_what_to_check() {
    let message = refused(NOWHERE, &["cache", "get", "c", "k"]);
    assert!(message.starts_with("mainstay: "), "{message}");
    assert!(
        message.ends_with("that --url or MAINSTAY_URL names it\n"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn an_address_that_others_can_reach_needs_keys() {
    let message = refused("memory:", &["serve", "--listen", "0.0.0.0:0"]);
    assert!(message.contains("without authentication"), "{message}");
}

#[test]
fn a_key_file_that_holds_no_keys_is_refused() {
    let message = refused("memory:", &["serve", "--api-key-file", "/no/such/file"]);
    assert!(
        message.contains("cannot read the API keys in /no/such/file"),
        "{message}"
    );
    let message = refused("memory:", &["serve", "--api-key-file", "/dev/null"]);
    assert!(message.contains("/dev/null names no API key"), "{message}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# ann\nplain-text-key\n").unwrap();
    let path = file.path().display().to_string();
    let message = refused("memory:", &["serve", "--api-key-file", &path]);
    assert!(
        message.contains(&format!("line 2 of {path} is not")),
        "{message}"
    );
    assert!(!message.contains("plain-text-key"), "{message}");
}
