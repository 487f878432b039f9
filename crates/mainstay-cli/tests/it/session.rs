//! `mainstay session` against a server.

use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server};
use serde_json::{Value, json};

use crate::program::{on, run};

#[tokio::test]
async fn sessions_are_listed_and_revoked_one_by_one_and_all() {
    let server = Server::start(Flavor::Redis).await;
    let url = server.url();
    let stay = Mainstay::connect(&url).await.unwrap();
    let sessions = stay.sessions::<Value>().build().unwrap();
    let mut ids = Vec::new();
    for device in 0..3 {
        ids.push(
            sessions
                .create("ann", &json!({ "device": device }))
                .await
                .unwrap()
                .id,
        );
    }
    let other = sessions.create("bob", &Value::Null).await.unwrap().id;

    let command = |arguments: &[&str]| run(on(&url, &[&["session"], arguments].concat()));
    let table = command(&["ls", "ann"]).stdout;
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.starts_with("SESSION"), "{table}");
    for id in &ids {
        assert!(!table.contains(id.expose()));
    }
    let listed: Value = serde_json::from_str(&command(&["ls", "ann", "--json"]).stdout).unwrap();
    let listed = listed["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let hash = listed[0]["id_hash"].as_str().unwrap();
    assert!(table.contains(hash));

    let one = command(&["revoke", "ann", "--session", hash]);
    assert_eq!(
        (one.code, one.stdout.as_str()),
        (Some(0), "1 session revoked\n")
    );
    assert_eq!(command(&["revoke", "ann", "--session", hash]).code, Some(1));
    assert_eq!(
        command(&["revoke", "ann", "--session", "short"]).code,
        Some(2)
    );
    assert_eq!(command(&["revoke", "ann"]).code, Some(2));

    let all = command(&["revoke", "ann", "--all"]);
    assert_eq!(
        (all.code, all.stdout.as_str()),
        (Some(0), "2 sessions revoked\n")
    );
    for id in &ids {
        assert_eq!(
            sessions.load(id).await.unwrap().map(|session| session.user),
            None
        );
    }
    let kept = sessions
        .load(&other)
        .await
        .unwrap()
        .and_then(|session| session.user);
    assert_eq!(kept.as_deref(), Some("bob"));
}
