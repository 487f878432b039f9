//! `mainstay session` against a server.

use std::fs;

use mainstay::Mainstay;
use mainstay::session::{Device, LoggedIn, SessionId, Sessions};
use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::{Value, json};

use crate::program::{Ended, on, run};

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn session(url: &str, arguments: &[&str]) -> Ended {
    run(on(url, &[&["session"], arguments].concat()))
}

/// A session of ann's, used from where the device says.
async fn log_in(sessions: &Sessions<Value>, device: Device) -> SessionId {
    let data = json!({"role": "hidden"});
    let log_in = sessions.log_in("ann", &data).device(device);
    let LoggedIn::Issued(issued) = log_in.create().await.unwrap() else {
        panic!("there is no limit to her sessions");
    };
    issued.id
}

async fn id_hash(sessions: &Sessions<Value>, id: &SessionId) -> String {
    let session = sessions.load(id).await.unwrap();
    session.unwrap().id_hash().to_owned()
}

#[tokio::test]
async fn sessions_are_listed_and_revoked_one_by_one_and_all() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let stay = Mainstay::connect(&url).await.unwrap();
    let sessions = stay.sessions::<Value>().build().unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(log_in(&sessions, Device::new()).await);
    }
    let other = sessions.create("bob", &Value::Null).await.unwrap().id;

    let table = session(&url, &["ls", "ann"]).stdout;
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.starts_with("SESSION"), "{table}");
    for id in &ids {
        assert!(!table.contains(id.expose()));
    }
    let listed = session(&url, &["ls", "ann", "--json"]).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let listed = listed["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let hash = listed[0]["id_hash"].as_str().unwrap();
    assert!(table.contains(hash));

    let one = session(&url, &["revoke", "ann", "--session", hash]);
    assert_eq!(
        (one.code, one.stdout.as_str()),
        (Some(0), "1 session revoked\n")
    );
    let again = session(&url, &["revoke", "ann", "--session", hash]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        again.stderr,
        "mainstay: the user has no such session: see `mainstay session ls`\n"
    );

    let all = session(&url, &["revoke", "ann", "--all"]);
    assert_eq!(
        (all.code, all.stdout.as_str()),
        (Some(0), "2 sessions revoked\n")
    );
    for id in &ids {
        assert!(sessions.load(id).await.unwrap().is_none());
    }
    let kept = sessions.load(&other).await.unwrap();
    let kept = kept.and_then(|session| session.user);
    assert_eq!(kept.as_deref(), Some("bob"));
}

#[tokio::test]
async fn where_a_session_is_used_from_is_shown_and_its_data_is_not() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let stay = Mainstay::connect(&url).await.unwrap();
    let sessions = stay.sessions::<Value>().build().unwrap();
    let device = Device::new()
        .with_user_agent(AGENT)
        .with_address("192.0.2.77".parse().unwrap());
    let known = log_in(&sessions, device).await;
    let known = id_hash(&sessions, &known).await;

    let table = session(&url, &["ls", "ann"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].ends_with("EXPIRES IN  NETWORK       DEVICE"),
        "{table}"
    );
    let shortened = "192.0.2.0/24  Mozilla/5.0 (X11; Linux x86_64; rv:140.…";
    assert!(lines[1].ends_with(shortened), "{table}");

    let shown = session(&url, &["show", "ann", &known]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for expected in [
        format!("session {known}\n"),
        format!("  device         {AGENT}\n"),
        "  network        192.0.2.0/24\n".to_owned(),
        "  authenticated  ".to_owned(),
        " in any case\n".to_owned(),
    ] {
        assert!(shown.stdout.contains(&expected), "{expected}: {shown:?}");
    }
    assert!(!shown.stdout.contains("hidden"), "{shown:?}");

    let shown = session(&url, &["show", "ann", &known, "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let shown = &shown["session"];
    assert_eq!(
        shown["device"],
        json!({"user_agent": AGENT, "network": "192.0.2.0/24"})
    );
    let fields: Vec<_> = shown.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "id_hash",
            "device",
            "age_ms",
            "authenticated_for_ms",
            "idle_for_ms",
            "expires_in_ms",
            "absolute_in_ms"
        ]
    );

    let unknown = log_in(&sessions, Device::new()).await;
    let unknown = id_hash(&sessions, &unknown).await;
    let shown = session(&url, &["show", "ann", &unknown]).stdout;
    assert!(shown.contains("  device         -\n"), "{shown}");
}

#[tokio::test]
async fn a_session_that_is_not_there_is_exit_code_1_and_a_slip_is_2() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let none = "-".repeat(32);
    let shown = session(&url, &["show", "ann", &none]);
    assert_eq!((shown.code, shown.stdout.as_str()), (Some(1), ""));
    assert!(shown.stderr.contains("no such session"), "{shown:?}");
    let shown = session(&url, &["show", "--json", "ann", &none]);
    assert_eq!(shown.code, Some(1));
    assert_eq!(shown.stdout, "{\"session\":null}\n");

    for slip in ["short", "ü", &"+".repeat(32)] {
        for arguments in [
            &["show", "ann", slip][..],
            &["revoke", "ann", "--session", slip],
        ] {
            let refused = session(&url, arguments);
            assert_eq!(refused.code, Some(2), "{refused:?}");
            let expected = "expected the hash of a session: 32 characters of base64url";
            assert!(refused.stderr.contains(expected), "{refused:?}");
        }
    }
    assert_eq!(session(&url, &["revoke", "ann"]).code, Some(2));
}

#[tokio::test]
async fn sessions_of_a_program_with_a_secret_are_found_with_it() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let stay = Mainstay::connect(&url).await.unwrap();
    let sessions = stay.sessions::<Value>().secret("open sesame").build();
    let sessions = sessions.unwrap();
    let id = log_in(&sessions, Device::new()).await;
    let hash = id_hash(&sessions, &id).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "open sesame\n").unwrap();
    let path = file.path().to_str().unwrap();

    let in_env = |secret: &str, arguments: &[&str]| {
        let mut command = on(&url, &[&["session"], arguments].concat());
        command.env("MAINSTAY_SESSION_SECRET", secret);
        run(command)
    };
    let lines = |ended: &Ended| ended.stdout.lines().count();
    assert_eq!(lines(&session(&url, &["ls", "ann"])), 1);
    assert_eq!(lines(&in_env("another", &["ls", "ann"])), 1);
    assert_eq!(lines(&in_env("open sesame", &["ls", "ann"])), 2);
    let by_file = ["ls", "ann", "--secret-file", path];
    assert_eq!(lines(&session(&url, &by_file)), 2);
    assert_eq!(lines(&in_env("another", &by_file)), 2);

    let revoke = ["revoke", "ann", "--session", &hash];
    assert_eq!(session(&url, &revoke).code, Some(1));
    assert!(sessions.load(&id).await.unwrap().is_some());
    assert_eq!(in_env("open sesame", &revoke).code, Some(0));
    assert!(sessions.load(&id).await.unwrap().is_none());
}

#[test]
fn a_secret_that_cannot_be_read_is_refused_before_connecting() {
    let nowhere = "redis://127.0.0.1:1";
    let refused = session(nowhere, &["--secret-file", "/no/such/file", "ls", "ann"]);
    assert_eq!(refused.code, Some(2));
    let expected = "mainstay: cannot read the secret in /no/such/file: ";
    assert!(refused.stderr.starts_with(expected), "{refused:?}");
    let refused = session(nowhere, &["ls", "ann", "--secret-file", "/dev/null"]);
    assert_eq!(refused.code, Some(2));
    let expected = "mainstay: /dev/null is empty: write a secret into it";
    assert!(refused.stderr.starts_with(expected), "{refused:?}");
    let mut command = on(nowhere, &["session", "ls", "ann"]);
    command.env("MAINSTAY_SESSION_SECRET", "");
    let refused = run(command);
    assert_eq!(refused.code, Some(2));
    let expected = "mainstay: MAINSTAY_SESSION_SECRET is empty: unset it, or give a secret";
    assert!(refused.stderr.starts_with(expected), "{refused:?}");
}
