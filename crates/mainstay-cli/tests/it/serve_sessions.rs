//! How `mainstay serve` keeps sessions.

use std::fs;

use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::Value;

use crate::program::{Ended, on, run};
use crate::serving::Serving;

const KEY: &str = "a key to sign with that has 32 bytes";

/// A configuration file, with what it names beside it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            folder.write(name, content);
        }
        folder
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// The body of an answer.
fn json(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

/// The token of a new session of ada's.
fn log_in(serving: &Serving) -> String {
    let answer = serving.post("/v1/sessions", r#"{"user": "ada"}"#);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    json(&answer)["id"].as_str().unwrap().to_owned()
}

fn status(serving: &Serving, token: &str) -> String {
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let answer = serving.get("/v1/sessions/current", &authorization);
    answer.split(' ').nth(1).unwrap().to_owned()
}

fn refused(flags: &[&str], variables: &[(&str, &str)]) -> Ended {
    let arguments = [&["serve", "--listen", "127.0.0.1:0"], flags].concat();
    let mut command = on("memory:", &arguments);
    command.envs(variables.iter().copied());
    let ended = run(command);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!ended.stderr.contains("listening on"), "{ended:?}");
    ended
}

#[test]
fn the_file_says_how_long_sessions_live_and_how_many_a_user_may_have() {
    let table = "[sessions]\nidle = '5m'\nabsolute = '1h'\nat_most = 2\nwhen_full = 'refuse'\n";
    let folder = Folder::with(&[("mainstay.toml", table)]);
    let serving = Serving::start("memory:", &["--config", &folder.path("mainstay.toml")]);
    let created = json(&serving.post("/v1/sessions", r#"{"user": "ada"}"#));
    assert_eq!(created["expires_in_ms"], 300_000);
    assert_eq!(created["absolute_in_ms"], 3_600_000);
    log_in(&serving);
    let third = serving.post("/v1/sessions", r#"{"user": "ada"}"#);
    assert!(third.starts_with("HTTP/1.1 409 "), "{third}");
    assert_eq!(json(&third)["code"], "too_many_sessions");
    assert_eq!(serving.stop().0, Some(0));
}

#[tokio::test]
async fn secrets_of_files_are_used_and_never_logged() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let table = "[sessions]\nsecret_file = 'secret'\nsigning_key_files = ['key']\n";
    let folder = Folder::with(&[
        ("mainstay.toml", table),
        ("secret", "open sesame\n"),
        ("key", KEY),
    ]);
    let config = folder.path("mainstay.toml");
    let serving = Serving::start(&url, &["-vv", "--config", &config]);
    let token = log_in(&serving);
    assert_eq!(token.len(), 72);
    assert_eq!(status(&serving, &token), "200");
    assert_eq!(status(&serving, &token[..48]), "401");
    let last = if token.ends_with('A') { 'B' } else { 'A' };
    let tampered = format!("{}{last}", &token[..71]);
    assert_eq!(status(&serving, &tampered), "401");

    let command = ["session", "ls", "ada", "--json"];
    let secret = folder.path("secret");
    let listed = |arguments: &[&str]| {
        let listed = run(on(&url, &[&command[..], arguments].concat())).stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        listed["sessions"].as_array().unwrap().len()
    };
    assert_eq!(listed(&[]), 0);
    assert_eq!(listed(&["--secret-file", &secret]), 1);

    let (code, log) = serving.stop();
    assert_eq!(code, Some(0));
    for hidden in ["open sesame", "key to sign", token.as_str()] {
        assert!(!log.contains(hidden), "{hidden:?} in:\n{log}");
    }
}

#[test]
fn secrets_of_the_environment_are_used() {
    let mut command = on("memory:", &["serve", "--listen", "127.0.0.1:0"]);
    command.env("MAINSTAY_SESSION_SECRET", "open sesame");
    command.env("MAINSTAY_SESSION_KEYS", format!("{KEY}, another {KEY}"));
    let serving = Serving::of(command);
    let token = log_in(&serving);
    assert_eq!((token.len(), status(&serving, &token)), (72, "200".into()));
    // printf %s ada | openssl dgst -sha256 -hmac 'open sesame' -binary | head -c 12 | basenc --base64url
    assert!(token.starts_with("0K3aRoWpSm8ORGv0"), "{token}");
    assert_eq!(serving.stop().0, Some(0));
}

#[test]
fn sessions_of_the_file_change_with_a_restart_only_and_the_log_says_so() {
    let limits = |count: u32| format!("[limits]\napi = '{count}/1h:exact'\n");
    let folder = Folder::with(&[
        (
            "mainstay.toml",
            &format!(
                "{}[sessions]\nidle = '5m'\nsecret_file = 'secret'\n",
                limits(1)
            ),
        ),
        ("secret", "open sesame\n"),
    ]);
    let config = folder.path("mainstay.toml");
    let mut serving = Serving::start("memory:", &["--config", &config]);
    let changed = "[sessions] has changed, and is read at the start only: restart to use it";
    let token = log_in(&serving);

    let table = format!(
        "{}[sessions]\nidle = '9m'\nsecret_file = 'secret'\n",
        limits(2)
    );
    folder.write("mainstay.toml", &table);
    serving.signal_until("HUP", "limits read again");
    serving.log_until(changed);
    let created = json(&serving.post("/v1/sessions", r#"{"user": "ada"}"#));
    assert_eq!(created["expires_in_ms"], 300_000);
    for expected in ["200", "200", "429"] {
        let answer = serving.post("/v1/limits/api:check", r#"{"subject": "ada"}"#);
        assert_eq!(answer.split(' ').nth(1), Some(expected));
    }

    let table = format!(
        "{}[sessions]\nidle = '5m'\nsecret_file = 'secret'\n",
        limits(3)
    );
    folder.write("mainstay.toml", &table);
    folder.write("secret", "another\n");
    serving.signal_until("HUP", changed);

    folder.write("secret", "");
    serving.signal_until("HUP", "[sessions] cannot be used: it stays as it was");
    assert_eq!(status(&serving, &token), "200");

    let table = format!("{}[sessions]\nidle = '99h'\n", limits(3));
    folder.write("mainstay.toml", &table);
    serving.signal_until(
        "HUP",
        "idle time of a session is longer than its absolute time",
    );

    let table = format!(
        "{}[sessions]\nidle = '5m'\nsecret_file = 'secret'\n",
        limits(3)
    );
    folder.write("mainstay.toml", &table);
    folder.write("secret", "open sesame");
    serving.signal_until("HUP", "limits read again");
    let (code, rest) = serving.stop();
    assert_eq!(code, Some(0));
    assert!(!rest.contains("[sessions]"), "{rest}");
}

#[test]
fn sessions_that_cannot_be_kept_as_it_is_said_are_refused_before_listening() {
    let folder = Folder::with(&[
        ("short.toml", "[sessions]\nsigning_key_files = ['short']\n"),
        ("short", "hunter2"),
        ("times.toml", "[sessions]\nidle = '2h'\nabsolute = '1h'\n"),
        ("none.toml", "[sessions]\nsecret_file = 'none'\n"),
        ("secret.toml", "[sessions]\nsecret = 'hunter2'\n"),
    ]);
    for (file, expected) in [
        (
            "short.toml",
            "the configuration of sessions is not valid: \
             key to sign session ids with has 7 bytes: at least 32 are needed"
                .to_owned(),
        ),
        (
            "times.toml",
            "idle time of a session is longer than its absolute time".to_owned(),
        ),
        (
            "none.toml",
            format!("cannot read the secret in {}: ", folder.path("none")),
        ),
        (
            "secret.toml",
            "unknown field `secret`, expected one of `idle`, `absolute`, `grace`, `at_most`, \
             `when_full`, `secret_file`, `signing_key_files`"
                .to_owned(),
        ),
    ] {
        let ended = refused(&["--config", &folder.path(file)], &[]);
        assert!(ended.stderr.contains(&expected), "{expected}: {ended:?}");
    }
    for (variable, value, expected) in [
        ("MAINSTAY_SESSION_SECRET", "", "unset it, or give a secret"),
        ("MAINSTAY_SESSION_KEYS", "hunter2,", "holds an empty key"),
        ("MAINSTAY_SESSION_KEYS", "hunter2", "has 7 bytes"),
    ] {
        let ended = refused(&[], &[(variable, value)]);
        assert!(ended.stderr.contains(expected), "{expected}: {ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
    let table = folder.path("none.toml");
    let both = [("MAINSTAY_SESSION_SECRET", "open sesame")];
    let ended = refused(&["--config", &table], &both);
    let expected = "both secret_file of [sessions] and MAINSTAY_SESSION_SECRET are given";
    assert!(ended.stderr.contains(expected), "{ended:?}");
}

#[test]
fn a_secret_in_the_wrong_place_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mainstay.toml");
    std::fs::write(&file, "[limits]\n\n[sessions]\nsecret = 'hunter2'\n").unwrap();
    let refused = run(on(
        "memory:",
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--config",
            file.to_str().unwrap(),
        ],
    ));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("mainstay.toml, line 4, cannot be used"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("unknown field `secret`"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
}
