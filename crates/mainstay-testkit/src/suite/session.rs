//! Sessions: validity, expiry, revocation, listing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::Mainstay;
use mainstay::session::{Issued, SessionId, Sessions};

use super::{Subject, ms};

const USER: &str = "ann@example.org";
const HOUR: Duration = Duration::from_secs(3600);

fn sessions_of(stay: &Mainstay) -> Sessions<String> {
    stay.sessions().secret("suite").build().unwrap()
}

async fn log_in(sessions: &Sessions<String>, user: &str) -> SessionId {
    let issued: Issued = sessions
        .create(user, &format!("data of {user}"))
        .await
        .unwrap();
    issued.id
}

async fn is_valid(sessions: &Sessions<String>, id: &SessionId) -> bool {
    sessions.load(id).await.unwrap().is_some()
}

async fn listed(sessions: &Sessions<String>, user: &str) -> BTreeSet<String> {
    let lines = sessions.list(user).await.unwrap();
    let hashes: BTreeSet<_> = lines.iter().map(|line| line.id_hash.clone()).collect();
    assert_eq!(hashes.len(), lines.len(), "listed twice");
    assert!(lines.iter().all(|line| line.record.user == user));
    hashes
}

/// The same id with another random part.
fn forged(id: &SessionId) -> SessionId {
    let mut text = id.expose().to_owned();
    let last = if text.pop() == Some('A') { 'B' } else { 'A' };
    text.push(last);
    text.parse().unwrap()
}

pub async fn a_created_session_loads_with_its_data(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let issued = sessions
        .create_with(USER, &"cart".to_owned(), HOUR, 2 * HOUR)
        .await
        .unwrap();
    assert_eq!(issued.expires_in, HOUR);
    subject.advance(ms(20)).await;
    let session = sessions.load(&issued.id).await.unwrap().unwrap();
    assert_eq!(
        (session.user.as_str(), session.data.as_str()),
        (USER, "cart")
    );
    assert!(session.age >= ms(19) && session.age < HOUR, "{session:?}");
    assert!(
        session.absolute_in <= (2 * HOUR).saturating_sub(ms(19)),
        "{session:?}"
    );
    assert!(session.expires_in <= HOUR, "{session:?}");
}

pub async fn an_id_that_was_never_issued_loads_nothing(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let id = log_in(&sessions, USER).await;
    let wrong = forged(&id);
    assert!(!is_valid(&sessions, &wrong).await);
    assert!(!sessions.revoke(&wrong).await.unwrap());
    assert!(is_valid(&sessions, &id).await);
}

pub async fn a_planted_id_is_never_adopted(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let planted = forged(&log_in(&sessions, USER).await);
    assert!(!is_valid(&sessions, &planted).await);
    let issued = log_in(&sessions, USER).await;
    assert_ne!(issued.expose(), planted.expose());
    assert!(!is_valid(&sessions, &planted).await);
    assert_eq!(listed(&sessions, USER).await.len(), 2);
}

pub async fn an_idle_session_expires(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let data = "data".to_owned();
    let issued = sessions
        .create_with(USER, &data, ms(100), HOUR)
        .await
        .unwrap();
    let other = log_in(&sessions, USER).await;
    subject.advance(ms(110)).await;
    assert!(!is_valid(&sessions, &issued.id).await);
    assert!(is_valid(&sessions, &other).await);
    assert!(!sessions.revoke(&issued.id).await.unwrap());
}

pub async fn an_active_session_expires_at_its_absolute_deadline(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let data = "data".to_owned();
    let issued = sessions
        .create_with(USER, &data, ms(300), ms(300))
        .await
        .unwrap();
    let session = sessions.load(&issued.id).await.unwrap().unwrap();
    assert!(session.expires_in <= session.absolute_in, "{session:?}");
    for _ in 0..4 {
        subject.advance(ms(80)).await;
        // Activity; the answer depends on how long it took.
        sessions.load(&issued.id).await.unwrap();
    }
    assert!(!is_valid(&sessions, &issued.id).await);
    assert!(listed(&sessions, USER).await.is_empty());
}

pub async fn activity_keeps_a_session_alive(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let data = "data".to_owned();
    let issued = sessions
        .create_with(USER, &data, ms(300), HOUR)
        .await
        .unwrap();
    for _ in 0..4 {
        subject.advance(ms(100)).await;
        let session = sessions
            .load(&issued.id)
            .await
            .unwrap()
            .expect("it was used");
        assert!(session.expires_in > ms(200), "{session:?}");
    }
    subject.advance(ms(310)).await;
    assert!(!is_valid(&sessions, &issued.id).await);
}

pub async fn a_revoked_session_is_gone_and_others_stay(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let (gone, kept) = (log_in(&sessions, USER).await, log_in(&sessions, USER).await);
    assert!(sessions.revoke(&gone).await.unwrap());
    assert!(!is_valid(&sessions, &gone).await);
    assert!(is_valid(&sessions, &kept).await);
    assert!(!sessions.revoke(&gone).await.unwrap());
    assert_eq!(listed(&sessions, USER).await.len(), 1);
}

pub async fn revoke_all_ends_every_session_of_the_user_and_no_other(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let ids = [log_in(&sessions, USER).await, log_in(&sessions, USER).await];
    let other = log_in(&sessions, "bob").await;
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 2);
    for id in &ids {
        assert!(!is_valid(&sessions, id).await);
    }
    assert!(listed(&sessions, USER).await.is_empty());
    assert!(is_valid(&sessions, &other).await);
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 0);
    assert_eq!(sessions.revoke_all("nobody").await.unwrap(), 0);
}

pub async fn a_login_after_revoke_all_works(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let old = log_in(&sessions, USER).await;
    for _ in 0..3 {
        sessions.revoke_all(USER).await.unwrap();
        let new = log_in(&sessions, USER).await;
        assert!(is_valid(&sessions, &new).await);
        assert!(!is_valid(&sessions, &old).await);
        assert_eq!(listed(&sessions, USER).await.len(), 1);
    }
}

pub async fn the_listing_holds_every_valid_session_and_no_other(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let revoked = log_in(&sessions, USER).await;
    log_in(&sessions, "bob").await;
    let data = "data".to_owned();
    sessions
        .create_with(USER, &data, ms(50), HOUR)
        .await
        .unwrap();
    sessions
        .create_with(USER, &data, ms(50), ms(50))
        .await
        .unwrap();
    let before = listed(&sessions, USER).await;
    let kept = [log_in(&sessions, USER).await, log_in(&sessions, USER).await];
    sessions.revoke(&revoked).await.unwrap();
    subject.advance(ms(60)).await;

    let now = listed(&sessions, USER).await;
    assert_eq!(now.len(), kept.len());
    assert!(now.is_disjoint(&before));
    for id in &kept {
        sessions.revoke(id).await.unwrap();
    }
    assert!(listed(&sessions, USER).await.is_empty());
    assert_eq!(listed(&sessions, "bob").await.len(), 1);
}

pub async fn a_listed_session_can_be_revoked_by_its_hash(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let first = log_in(&sessions, USER).await;
    let hash = listed(&sessions, USER).await.pop_first().unwrap();
    assert!(!first.expose().contains(&hash));
    let second = log_in(&sessions, USER).await;
    assert!(!sessions.revoke_listed("bob", &hash).await.unwrap());
    assert!(sessions.revoke_listed(USER, &hash).await.unwrap());
    assert!(!sessions.revoke_listed(USER, &hash).await.unwrap());
    assert!(!is_valid(&sessions, &first).await);
    assert!(is_valid(&sessions, &second).await);
}

pub async fn revoke_all_that_races_with_logins_leaves_nothing_unlisted(subject: &Subject) {
    const ROUNDS: usize = 50;
    const LOGINS: usize = 8;
    let sessions = sessions_of(subject.stay());
    for round in 0..ROUNDS {
        let logins = join_all((0..LOGINS).map(|_| log_in(&sessions, USER)));
        let (ids, revoked) = tokio::join!(logins, sessions.revoke_all(USER));
        revoked.unwrap();
        let valid = join_all(ids.iter().map(|id| is_valid(&sessions, id))).await;
        let survivors = valid.iter().filter(|valid| **valid).count();
        assert_eq!(
            listed(&sessions, USER).await.len(),
            survivors,
            "round {round}"
        );

        sessions.revoke_all(USER).await.unwrap();
        let valid = join_all(ids.iter().map(|id| is_valid(&sessions, id))).await;
        assert_eq!(valid, [false; LOGINS], "round {round}");
        assert!(listed(&sessions, USER).await.is_empty(), "round {round}");
    }
    let new = log_in(&sessions, USER).await;
    assert!(is_valid(&sessions, &new).await);
}

pub async fn ids_are_hashed_at_rest(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let id = log_in(&sessions, USER).await;
    let Some(dump) = subject.dump().await else {
        return subject.skip("ids_are_hashed_at_rest", "nothing can be read from outside");
    };
    let hash = listed(&sessions, USER).await.pop_first().unwrap();
    assert!(dump.contains(&hash), "{dump}");
    let random = &id.expose()[16..];
    assert!(!dump.contains(random), "{dump}");
}
