//! `mainstay serve`.

use std::fs;

use mainstay_testkit::fixture::{Flavor, Server};

use crate::program::{mainstay, on, run};
use crate::serving::Serving;

#[test]
fn it_serves_on_a_free_port_and_ends_well_on_sigterm() {
    let serving = Serving::of(mainstay(["serve", "--listen", "127.0.0.1:0"]));
    assert!(!serving.address.ends_with(":0"), "{}", serving.address);
    let answer = serving.get("/livez", "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(serving.stop().0, Some(0));
}

#[test]
fn it_starts_while_the_backend_is_away_and_says_that_it_is_not_ready() {
    let serving = Serving::start("redis://127.0.0.1:1", &[]);
    assert!(serving.get("/livez", "").starts_with("HTTP/1.1 200 "));
    assert!(serving.get("/readyz", "").starts_with("HTTP/1.1 503 "));
    assert_eq!(serving.stop().0, Some(0));
}

#[tokio::test]
async fn a_refused_login_is_an_error_at_once() {
    let server = Server::builder(Flavor::Redis)
        .password("right")
        .start()
        .await;
    let url = format!("redis://:wrong@{}", server.addr());
    let ended = run(on(&url, &["serve", "--listen", "127.0.0.1:0"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!ended.stderr.contains("wrong@"), "{ended:?}");
}

#[test]
fn a_key_from_the_file_opens_the_server_and_nothing_else_does() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    fs::write(file.path(), format!("# ann\n{hash}\n")).unwrap();
    let path = file.path().display().to_string();
    let serving = Serving::start("memory:", &["--api-key-file", &path]);
    let entry = "/v1/cache/prices/sku-1";
    assert!(serving.get(entry, "").starts_with("HTTP/1.1 401 "));
    assert!(
        serving
            .get(entry, "X-Api-Key: bar\r\n")
            .starts_with("HTTP/1.1 401 ")
    );
    assert!(
        serving
            .get(entry, "X-Api-Key: foo\r\n")
            .starts_with("HTTP/1.1 404 ")
    );
}

#[test]
fn a_json_log_is_one_object_a_line() {
    let serving = Serving::start("memory:", &["--log-format", "json"]);
    let seen = serving.seen.clone();
    let (code, rest) = serving.stop();
    assert_eq!(code, Some(0));
    for line in seen.lines().chain(rest.lines()) {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["level"], "INFO", "{line}");
    }
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let serving = Serving::start("memory:", &[]);
    let ended = run(mainstay(["serve", "--listen", &serving.address]));
    assert_eq!(ended.code, Some(2));
    let expected = format!(
        "mainstay: cannot listen on {}, pass another --listen: ",
        serving.address
    );
    assert!(ended.stderr.starts_with(&expected), "{ended:?}");
}

#[test]
fn limits_of_a_file_are_read_again_on_sighup_and_what_was_counted_stays() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |limit: &str| {
        let rule = "domain = 'edge'\ndescriptor = ['user']\nlimits = ['api']";
        let text = format!("[limits]\napi = '{limit}'\n[[envoy]]\n{rule}\n");
        fs::write(file.path(), text).unwrap();
    };
    write("2/1h:exact");
    let path = file.path().display().to_string();
    let mut serving = Serving::start("memory:", &["--config", &path]);
    let check = |serving: &Serving| {
        let answer = serving.post("/v1/limits/api:check", r#"{"subject": "ada"}"#);
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let body =
        r#"{"domain": "edge", "descriptors": [{"entries": [{"key": "user", "value": "ada"}]}]}"#;
    assert!(
        serving
            .post("/json", body)
            .contains("\"overallCode\":\"OK\"")
    );
    assert_eq!(check(&serving), "200");
    assert_eq!(check(&serving), "429");

    write("3/1h:exact");
    serving.signal_until("HUP", "limits read again");
    assert_eq!([check(&serving), check(&serving)], ["200", "429"]);

    write("3/1h:leaky");
    serving.signal_until("HUP", "unknown algorithm");
    assert_eq!(check(&serving), "429");
    assert_eq!(serving.stop().0, Some(0));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_says_where_and_why() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[limts]\napi = '1/1s'\n").unwrap();
    let path = file.path().display().to_string();
    let ended = run(mainstay(["serve", "--config", &path]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for expected in [path.as_str(), "line 1", "unknown field `limts`", "`limits`"] {
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}
