//! Plain sessions, shared with programs that follow the plain recipe.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use mainstay::session::{PlainSession, PlainSessions};
use mainstay::{ErrorKind, Mainstay, Options};
use mainstay_testkit::fixture::{FaultProxy, Flavor, ForeignClient, Mode, Server, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{BOUND, COMMAND_TIMEOUT, connect, extent, on_both_flavors};

const USER: &str = "plant:7:ann";
const LISTING: &str = "user:plant:7:ann:sessions";

on_both_flavors! {
    python_shares_plain_sessions
    node_shares_plain_sessions
    go_shares_plain_sessions
    log_ins_that_race_with_plain_revocations_leave_nothing_unlisted
    log_ins_of_python_that_race_with_our_revocations_leave_nothing_unlisted
    a_log_in_that_is_revoked_under_way_takes_another_id
    a_plain_log_in_whose_reply_is_lost_leaves_nothing_unlisted
    a_plain_listing_is_kept_longer_than_its_sessions
    a_plain_session_without_a_time_to_live_ends_when_it_says
    foreign_data_in_place_of_a_plain_session_is_told_and_can_be_revoked
}

fn plain(stay: &Mainstay) -> PlainSessions {
    stay.plain_sessions().build().unwrap()
}

async fn log_in(sessions: &PlainSessions) -> PlainSession {
    sessions.create(USER, "plant", "ingénieur").await.unwrap()
}

async fn keys(server: &Server) -> Vec<String> {
    let keys = server.command(&["KEYS", "session:*"]).await;
    keys.items().iter().map(|key| key.text().into()).collect()
}

async fn members(server: &Server) -> BTreeSet<String> {
    let members = server.command(&["SMEMBERS", LISTING]).await;
    members.items().iter().map(|id| id.text().into()).collect()
}

/// The sessions that are there and not in the set.
async fn unlisted(server: &Server) -> Vec<String> {
    let listed = members(server).await;
    let mut keys = keys(server).await;
    keys.retain(|key| !listed.contains(&key["session:".len()..]));
    keys
}

async fn left(server: &Server, key: &str) -> Duration {
    let left = server.command(&["PTTL", key]).await.integer();
    Duration::from_millis(u64::try_from(left).unwrap())
}

/// What the foreign programs say of a session.
fn told(session: &PlainSession) -> String {
    let PlainSession {
        id,
        user_id,
        tenant_id,
        role,
        expires_at,
        ..
    } = session;
    let expires_at = expires_at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expires_at = expires_at.as_millis();
    format!("{id} {user_id} {tenant_id} {role} {expires_at}")
}

async fn python_shares_plain_sessions(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let client = ForeignClient::python("session.py", &[&server.url()]);
    shared(&server, client).await;
}

async fn node_shares_plain_sessions(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let client = ForeignClient::node("session.mjs", &[&server.url()]);
    shared(&server, client).await;
}

async fn go_shares_plain_sessions(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let client = ForeignClient::go("session.go", &[&server.url()]);
    shared(&server, client).await;
}

async fn shared(server: &Server, mut foreign: ForeignClient) {
    let sessions = plain(&connect(&server.url()).await);
    let ours = log_in(&sessions).await;
    let read = format!("read {}", ours.id);
    assert_eq!(foreign.request(&read).await, told(&ours));

    let create = format!("create {USER} plant ingénieur");
    let id = foreign.request(&create).await;
    let theirs = sessions.load(&id).await.unwrap().expect("they created it");
    assert_eq!(
        foreign.request(&format!("read {id}")).await,
        told(&theirs),
        "both read the same"
    );
    let fields = [&theirs.user_id, &theirs.tenant_id, &theirs.role];
    assert_eq!(fields, [USER, "plant", "ingénieur"]);
    let apart = theirs.expires_at.duration_since(ours.expires_at);
    let apart = apart.unwrap_or_else(|before| before.duration());
    assert!(apart < Duration::from_secs(60), "{theirs:?}");
    let listed = sessions.list(USER).await.unwrap();
    assert!(listed.contains(&ours) && listed.contains(&theirs));

    let delete_all = format!("delete-all {USER}");
    assert_eq!(foreign.request(&delete_all).await, "ok");
    assert!(sessions.load(&ours.id).await.unwrap().is_none());
    assert!(sessions.load(&id).await.unwrap().is_none());
    assert!(sessions.list(USER).await.unwrap().is_empty());

    let ours = log_in(&sessions).await;
    let id = foreign.request(&create).await;
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 2);
    for id in [&id, &ours.id] {
        assert_eq!(foreign.request(&format!("read {id}")).await, "none");
    }
    let id = foreign.request(&create).await;
    assert!(sessions.revoke(&id).await.unwrap());
    assert_eq!(foreign.request(&format!("read {id}")).await, "none");
    assert_eq!(members(server).await, BTreeSet::new());
}

async fn log_ins_that_race_with_plain_revocations_leave_nothing_unlisted(flavor: Flavor) {
    const LOGINS: usize = 8;
    let server = Server::start(flavor).await;
    let ours = plain(&connect(&server.url()).await);
    let other = plain(&connect(&server.url()).await);
    let (mut survivors, rounds) = (0, extent(60, 1_000));
    for round in 0..rounds {
        let mut logins = JoinSet::new();
        for _ in 0..LOGINS {
            let sessions = ours.clone();
            logins.spawn(async move { log_in(&sessions).await });
        }
        // The others are under way when the first has its answer.
        let first = logins.join_next().await.unwrap().unwrap();
        other.revoke_all(USER).await.unwrap();
        assert!(ours.load(&first.id).await.unwrap().is_none());
        // Listing drops ids of sessions that are gone, and none of one that is yet to come.
        other.list(USER).await.unwrap();
        let created = logins.join_all().await;
        assert_eq!(unlisted(&server).await, Vec::<String>::new(), "{round}");
        let loads = join_all(created.iter().map(|it| ours.load(&it.id))).await;
        let valid = loads.into_iter().filter_map(|load| load.unwrap());
        let valid: BTreeSet<_> = valid.map(|session| session.id).collect();
        let listed = ours.list(USER).await.unwrap().into_iter();
        assert_eq!(
            listed.map(|it| it.id).collect::<BTreeSet<_>>(),
            valid,
            "{round}"
        );
        survivors += valid.len();
        other.revoke_all(USER).await.unwrap();
        assert_eq!(keys(&server).await, Vec::<String>::new(), "{round}");
    }
    println!("{flavor}: {rounds} rounds of {LOGINS} log-ins, {survivors} after the revocation");
}

async fn log_ins_of_python_that_race_with_our_revocations_leave_nothing_unlisted(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let sessions = plain(&connect(&server.url()).await);
    let mut foreign = ForeignClient::python("session.py", &[&server.url()]);
    let (mut ended, mut turns) = (0, 0);
    for round in 0..extent(4, 40) {
        let request = format!("log-in-often {USER} 200");
        let mut log_ins = std::pin::pin!(foreign.request(&request));
        loop {
            tokio::select! {
                biased;
                answer = &mut log_ins => {
                    assert_eq!(answer, "ok");
                    break;
                }
                revoked = sessions.revoke_all(USER) => {
                    ended += revoked.unwrap();
                    turns += 1;
                }
            }
        }
        assert_eq!(unlisted(&server).await, Vec::<String>::new(), "{round}");
        ended += sessions.revoke_all(USER).await.unwrap();
        assert_eq!(keys(&server).await, Vec::<String>::new(), "{round}");
    }
    println!("{flavor}: {turns} revocations, which ended {ended} sessions");
}

/// Revokes what a log-in has listed, while its reply is on its way.
async fn revoked_under_way(flavor: Flavor, is_session_found: bool) {
    const AWAY: Duration = Duration::from_millis(400);
    let server = Server::start(flavor).await;
    let mut proxy = FaultProxy::start(server.addr()).await;
    let options = Options::new().command_timeout(BOUND);
    let sessions = plain(&options.connect(&proxy.url()).await.unwrap());
    // Every script is known from now on: a log-in takes four round trips.
    let before = log_in(&sessions).await;
    assert!(sessions.revoke(&before.id).await.unwrap());

    proxy.set_mode(Mode::Delay(AWAY)).await;
    let creating = tokio::spawn({
        let sessions = sessions.clone();
        async move { log_in(&sessions).await }
    });
    let first = eventually("it is listed", BOUND, async || {
        members(&server).await.pop_first().ok_or("nobody".into())
    });
    let first = first.await;
    if is_session_found {
        let key = format!("session:{first}");
        assert_eq!(server.command(&["DEL", &key]).await.integer(), 1);
    } else {
        assert_eq!(server.command(&["DEL", LISTING]).await.integer(), 1);
    }
    let created = timeout(BOUND, creating).await.unwrap().unwrap();
    assert_ne!(created.id, first);
    assert_eq!(
        keys(&server).await,
        [format!("session:{}", created.id)],
        "nothing is left of the first"
    );
    assert_eq!(members(&server).await, BTreeSet::from([created.id]));
}

async fn a_log_in_that_is_revoked_under_way_takes_another_id(flavor: Flavor) {
    // As by `revoke_all`, and as by the recipe, when it has read the set before.
    tokio::join!(
        revoked_under_way(flavor, true),
        revoked_under_way(flavor, false)
    );
}

async fn a_plain_log_in_whose_reply_is_lost_leaves_nothing_unlisted(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let stay = connect(&proxy.url()).await;
    let (sessions, witness) = (plain(&stay), plain(&connect(&server.url()).await));
    let mut failed = 0;
    for reply in (1..=8).cycle().take(extent(8, 80)) {
        let what = format!("reply {reply} is lost");
        proxy.drop_reply(reply);
        match sessions.create(USER, "plant", "engineer").await {
            Ok(created) => assert!(witness.load(&created.id).await.unwrap().is_some(), "{what}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unknown, "{what}: {error:?}");
                failed += 1;
            }
        }
        // A session that was stored and not listed is gone when the call's time is over.
        eventually(&what, 2 * COMMAND_TIMEOUT, async || {
            match unlisted(&server).await {
                unlisted if unlisted.is_empty() => Ok(()),
                unlisted => Err(format!("{unlisted:?}")),
            }
        })
        .await;
        witness.revoke_all(USER).await.unwrap();
        assert_eq!(keys(&server).await, Vec::<String>::new(), "{what}");
        eventually("the connection is back", BOUND, async || {
            stay.health().await.map_err(|error| format!("{error:?}"))
        })
        .await;
    }
    println!("{flavor}: {failed} log-ins failed");
    assert!(failed > 0, "no reply that mattered was lost");
}

async fn a_plain_listing_is_kept_longer_than_its_sessions(flavor: Flavor) {
    const HOUR: Duration = Duration::from_secs(3_600);
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let lasting = |ttl| stay.plain_sessions().ttl(ttl).build().unwrap();
    let session = log_in(&lasting(2 * HOUR)).await;
    let key = format!("session:{}", session.id);
    assert!(left(&server, &key).await > HOUR);
    assert!(left(&server, LISTING).await > left(&server, &key).await);
    log_in(&lasting(HOUR)).await;
    assert!(left(&server, LISTING).await > left(&server, &key).await);
    let longest = log_in(&lasting(3 * HOUR)).await;
    let key = format!("session:{}", longest.id);
    assert!(left(&server, LISTING).await > left(&server, &key).await);
    // One that others have left without an end gets one.
    assert_eq!(server.command(&["PERSIST", LISTING]).await.integer(), 1);
    log_in(&lasting(HOUR)).await;
    assert!(left(&server, LISTING).await > HOUR);

    let gone = log_in(&lasting(Duration::from_millis(1))).await;
    assert!(members(&server).await.contains(&gone.id));
    eventually("it ends", BOUND, async || {
        let loaded = lasting(HOUR).load(&gone.id).await.unwrap();
        loaded.map_or(Ok(()), |session| Err(format!("{session:?}")))
    })
    .await;
    assert_eq!(lasting(HOUR).list(USER).await.unwrap().len(), 4);
    assert!(!members(&server).await.contains(&gone.id));
}

/// Stores a session as a program does that gives it no time to live.
async fn plant(server: &Server, id: &str, expires_at: &str) {
    let record = json!({"id": id, "user_id": USER, "expires_at": expires_at, "more": 1});
    let key = format!("session:{id}");
    server.command(&["SET", &key, &record.to_string()]).await;
    server.command(&["SADD", LISTING, id]).await;
}

async fn a_plain_session_without_a_time_to_live_ends_when_it_says(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let sessions = plain(&connect(&server.url()).await);
    plant(&server, "past", "2020-01-01T00:00:00").await;
    plant(&server, "ahead", "2999-01-01T00:00:00.123456789+02:00").await;
    assert!(sessions.load("past").await.unwrap().is_none());
    let ahead = sessions.load("ahead").await.unwrap().expect("it is valid");
    assert_eq!(ahead.user_id, USER);
    assert_eq!(sessions.list(USER).await.unwrap(), [ahead]);
    assert_eq!(members(&server).await, BTreeSet::from(["ahead".into()]));
    assert_eq!(keys(&server).await, ["session:ahead"]);
}

async fn foreign_data_in_place_of_a_plain_session_is_told_and_can_be_revoked(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let sessions = plain(&connect(&server.url()).await);
    let ours = log_in(&sessions).await;
    let key = format!("session:{}", ours.id);
    let record = server.command(&["GET", &key]).await;
    let record: Value = serde_json::from_str(record.text()).unwrap();
    let fields: Vec<_> = record.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["id", "user_id", "tenant_id", "role", "expires_at"]);

    plant(&server, "soon", "soon").await;
    server.command(&["SET", "session:other", "{}"]).await;
    server.command(&["SADD", LISTING, "other"]).await;
    for id in ["soon", "other"] {
        let error = sessions.load(id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let error = sessions.list(USER).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(sessions.revoke("other").await.unwrap());
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 2);
    assert_eq!(keys(&server).await, Vec::<String>::new());
}
