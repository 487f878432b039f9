//! Plain sessions: validity, revocation, listing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::session::{PlainSession, PlainSessions};
use mainstay::{ErrorKind, Mainstay};

use super::{Subject, ms};

const USER: &str = "plant:7:ann@example.org";

fn sessions_of(stay: &Mainstay) -> PlainSessions {
    stay.plain_sessions().build().unwrap()
}

fn lasting(stay: &Mainstay, ttl: Duration) -> PlainSessions {
    stay.plain_sessions().ttl(ttl).build().unwrap()
}

async fn log_in(sessions: &PlainSessions, user: &str) -> PlainSession {
    sessions.create(user, "plant 7", "ingénieur").await.unwrap()
}

async fn is_valid(sessions: &PlainSessions, session: &PlainSession) -> bool {
    sessions.load(&session.id).await.unwrap().is_some()
}

async fn listed(sessions: &PlainSessions, user: &str) -> BTreeSet<String> {
    let lines = sessions.list(user).await.unwrap();
    assert!(lines.iter().all(|line| line.user_id == user));
    let ends = |pair: &[PlainSession]| pair[0].expires_at >= pair[1].expires_at;
    assert!(lines.windows(2).all(ends), "the last to end comes first");
    let count = lines.len();
    let ids: BTreeSet<_> = lines.into_iter().map(|line| line.id).collect();
    assert_eq!(ids.len(), count, "listed twice");
    ids
}

fn ids(sessions: &[PlainSession]) -> BTreeSet<String> {
    sessions.iter().map(|session| session.id.clone()).collect()
}

pub async fn a_plain_session_loads_as_it_was_created(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let created = log_in(&sessions, USER).await;
    assert_eq!(created.user_id, USER);
    assert_eq!(created.tenant_id, "plant 7");
    assert_eq!(created.role, "ingénieur");
    let loaded = sessions.load(&created.id).await.unwrap();
    assert_eq!(loaded.as_ref(), Some(&created));
    let listed = sessions.list(USER).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&created));
    subject.advance(ms(20)).await;
    let later = log_in(&sessions, USER).await;
    assert!(later.expires_at > created.expires_at);
    assert_ne!(later.id, created.id);
    assert!(!format!("{later:?}").contains(&later.id));
}

pub async fn a_plain_session_ends_at_its_time_however_much_it_is_used(subject: &Subject) {
    let sessions = lasting(subject.stay(), ms(300));
    let short = log_in(&sessions, USER).await;
    let long = log_in(&sessions_of(subject.stay()), USER).await;
    for _ in 0..4 {
        subject.advance(ms(80)).await;
        // The answer depends on how long it took.
        sessions.load(&short.id).await.unwrap();
    }
    assert!(!is_valid(&sessions, &short).await);
    assert!(!sessions.revoke(&short.id).await.unwrap());
    assert!(is_valid(&sessions, &long).await);
    assert_eq!(listed(&sessions, USER).await, ids(&[long]));
}

pub async fn a_revoked_plain_session_is_gone_and_others_stay(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let gone = log_in(&sessions, USER).await;
    let kept = log_in(&sessions, USER).await;
    assert!(sessions.revoke(&gone.id).await.unwrap());
    assert!(!is_valid(&sessions, &gone).await);
    assert!(is_valid(&sessions, &kept).await);
    assert!(!sessions.revoke(&gone.id).await.unwrap());
    assert_eq!(listed(&sessions, USER).await, ids(&[kept]));
}

pub async fn revoking_all_ends_every_plain_session_of_the_user_and_no_other(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let mine = [log_in(&sessions, USER).await, log_in(&sessions, USER).await];
    let bobs = log_in(&sessions, "bob").await;
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 2);
    for session in &mine {
        assert!(!is_valid(&sessions, session).await);
    }
    assert!(listed(&sessions, USER).await.is_empty());
    assert!(is_valid(&sessions, &bobs).await);
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 0);
    let new = log_in(&sessions, USER).await;
    assert!(is_valid(&sessions, &new).await);
    assert_eq!(listed(&sessions, USER).await, ids(&[new]));
}

pub async fn the_plain_listing_holds_every_valid_session_and_no_other(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let short = lasting(subject.stay(), ms(50));
    let revoked = log_in(&sessions, USER).await;
    log_in(&sessions, "bob").await;
    log_in(&short, USER).await;
    let kept = [log_in(&sessions, USER).await, log_in(&sessions, USER).await];
    // Shorter than those before it, which it does not take with it.
    log_in(&short, USER).await;
    sessions.revoke(&revoked.id).await.unwrap();
    subject.advance(ms(70)).await;

    assert_eq!(listed(&sessions, USER).await, ids(&kept));
    assert_eq!(listed(&sessions, USER).await, ids(&kept));
    assert_eq!(listed(&sessions, "bob").await.len(), 1);
    assert!(listed(&sessions, "nobody").await.is_empty());
}

pub async fn many_plain_sessions_are_listed_and_revoked(subject: &Subject) {
    const SESSIONS: usize = 1_203;
    let sessions = sessions_of(subject.stay());
    let mut created = Vec::new();
    while created.len() < SESSIONS {
        let batch = 100.min(SESSIONS - created.len());
        created.extend(join_all((0..batch).map(|_| log_in(&sessions, USER))).await);
    }
    let listed = listed(&sessions, USER).await;
    assert_eq!(listed.len(), 1_000);
    assert!(listed.is_subset(&ids(&created)));
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 1_203);
    let loads = join_all(created.iter().map(|it| is_valid(&sessions, it))).await;
    assert!(loads.iter().all(|is_valid| !is_valid));
}

pub async fn plain_log_ins_beside_revoke_all_are_listed_or_gone(subject: &Subject) {
    const ROUNDS: usize = 30;
    const LOGINS: usize = 8;
    let sessions = sessions_of(subject.stay());
    for round in 0..ROUNDS {
        let log_ins = join_all((0..LOGINS).map(|_| log_in(&sessions, USER)));
        let (created, revoked) = tokio::join!(log_ins, sessions.revoke_all(USER));
        revoked.unwrap();
        let mut valid = BTreeSet::new();
        for session in &created {
            if is_valid(&sessions, session).await {
                valid.insert(session.id.clone());
            }
        }
        assert_eq!(listed(&sessions, USER).await, valid, "round {round}");

        let ended = sessions.revoke_all(USER).await.unwrap();
        assert_eq!(ended, u64::try_from(valid.len()).unwrap(), "round {round}");
        for session in &created {
            assert!(!is_valid(&sessions, session).await, "round {round}");
        }
    }
}

pub async fn plain_sessions_of_users_with_similar_ids_are_apart(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let users = ["x", "x:sessions", "user:x", ":x", "x:", "session:x", "x%3A"];
    for user in users {
        log_in(&sessions, user).await;
    }
    for user in users {
        assert_eq!(listed(&sessions, user).await.len(), 1, "{user}");
        assert_eq!(sessions.revoke_all(user).await.unwrap(), 1, "{user}");
    }
}

pub async fn what_can_be_no_plain_id_is_refused(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let long = "x".repeat(1_025);
    for id in ["", "a\r\nb", "nul\0", "{ann}", "ann}", long.as_str()] {
        let refusals = [
            sessions.create(id, "", "").await.unwrap_err(),
            sessions.load(id).await.unwrap_err(),
            sessions.revoke(id).await.unwrap_err(),
            sessions.revoke_all(id).await.unwrap_err(),
            sessions.list(id).await.unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(id.is_empty() || !error.to_string().contains(id), "{error}");
        }
    }
    for (tenant, role) in [(long.as_str(), ""), ("", long.as_str())] {
        let error = sessions.create(USER, tenant, role).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    let created = sessions.create(USER, "{}\n", "\"").await.unwrap();
    let loaded = sessions.load(&created.id).await.unwrap();
    assert_eq!(loaded, Some(created));
}

pub async fn plain_sessions_and_others_of_a_user_are_apart(subject: &Subject) {
    let plain = sessions_of(subject.stay());
    let others = subject.stay().sessions::<u8>().build().unwrap();
    let created = log_in(&plain, USER).await;
    let issued = others.create(USER, &7).await.unwrap();
    assert!(plain.load(issued.id.expose()).await.unwrap().is_none());
    assert_eq!(others.revoke_all(USER).await.unwrap(), 1);
    assert!(is_valid(&plain, &created).await);
    let issued = others.create(USER, &7).await.unwrap();
    assert_eq!(plain.revoke_all(USER).await.unwrap(), 1);
    assert!(others.load(&issued.id).await.unwrap().is_some());
}

pub async fn plain_sessions_of_namespaces_are_apart(subject: &Subject) {
    let Some(other) = subject.under("other").await else {
        let why = "one process has it alone";
        return subject.skip("plain_sessions_of_namespaces_are_apart", why);
    };
    let (here, there) = (sessions_of(subject.stay()), sessions_of(&other));
    let created = log_in(&here, USER).await;
    assert!(!is_valid(&there, &created).await);
    assert_eq!(there.revoke_all(USER).await.unwrap(), 0);
    assert_eq!(listed(&here, USER).await, ids(&[created]));
    assert!(subject.endless_keys().await.is_empty());
}
