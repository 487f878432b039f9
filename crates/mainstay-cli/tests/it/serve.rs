//! `mainstay serve`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use mainstay_testkit::fixture::{Flavor, Server};

use crate::program::{Running, mainstay, on, run};

/// A started server.
pub(crate) struct Serving {
    pub(crate) running: Running,
    pub(crate) address: String,
    seen: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Serving {
    /// Starts it and waits for the line that says where it listens.
    pub(crate) fn start(url: &str, flags: &[&str]) -> Self {
        Self::of(on(
            url,
            &[&["serve", "--listen", "127.0.0.1:0"], flags].concat(),
        ))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut running = crate::program::adopt(command.spawn().unwrap());
        let mut log = BufReader::new(running.child().stderr.take().unwrap());
        let mut seen = String::new();
        // The address ends at the comma, in a JSON line too.
        loop {
            let start = seen.len();
            assert_ne!(
                log.read_line(&mut seen).unwrap(),
                0,
                "no address in:\n{seen}"
            );
            if let Some((_, rest)) = seen[start..].split_once("listening on http://") {
                let address = rest.split(',').next().unwrap().to_owned();
                return Self {
                    running,
                    address,
                    seen,
                    log,
                };
            }
        }
    }

    /// The status line and body of a request without a body.
    pub(crate) fn get(&self, path: &str, header: &str) -> String {
        let address = &self.address;
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a signal and waits for a line of the log that holds this.
    pub(crate) fn signal_until(&mut self, name: &str, expected: &str) {
        self.running.signal(name);
        self.log_until(expected);
    }

    /// Waits for a line of the log that holds this.
    pub(crate) fn log_until(&mut self, expected: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "no {expected:?}");
            if line.contains(expected) {
                return;
            }
        }
    }

    /// The answer to a request with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let address = &self.address;
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it with a signal; its exit code and the rest of its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.running.signal("TERM");
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.running.end().code, rest)
    }
}

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
