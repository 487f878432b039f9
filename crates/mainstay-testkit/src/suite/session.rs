//! Sessions: validity, expiry, revocation, listing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use mainstay::Mainstay;
use mainstay::session::{Device, Issued, LoggedIn, Renewed, SessionId, Sessions};

use super::{Subject, ms};

pub(super) const USER: &str = "ann@example.org";
pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn sessions_of(stay: &Mainstay) -> Sessions<String> {
    stay.sessions().secret("suite").build().unwrap()
}

pub(super) async fn log_in(sessions: &Sessions<String>, user: &str) -> SessionId {
    let issued: Issued = sessions
        .create(user, &format!("data of {user}"))
        .await
        .unwrap();
    issued.id
}

pub(super) async fn is_valid(sessions: &Sessions<String>, id: &SessionId) -> bool {
    sessions.load(id).await.unwrap().is_some()
}

pub(super) async fn listed(sessions: &Sessions<String>, user: &str) -> BTreeSet<String> {
    let lines = sessions.list(user).await.unwrap();
    let hashes: BTreeSet<_> = lines.iter().map(|line| line.id_hash.clone()).collect();
    assert_eq!(hashes.len(), lines.len(), "listed twice");
    assert!(
        lines
            .iter()
            .all(|line| line.record.user.as_deref() == Some(user))
    );
    hashes
}

/// A session with times of its own.
async fn lasting(sessions: &Sessions<String>, idle: Duration, absolute: Duration) -> Issued {
    let data = "data".to_owned();
    let log_in = sessions.log_in(USER, &data).idle(idle).absolute(absolute);
    match log_in.create().await.unwrap() {
        LoggedIn::Issued(issued) => issued,
        LoggedIn::Full => panic!("there is no limit"),
    }
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
    let issued = lasting(&sessions, HOUR, 2 * HOUR).await;
    assert_eq!((issued.expires_in, issued.absolute_in), (HOUR, 2 * HOUR));
    subject.advance(ms(20)).await;
    let session = sessions.load(&issued.id).await.unwrap().unwrap();
    assert_eq!(
        (session.user.as_deref(), session.data.as_str()),
        (Some(USER), "data")
    );
    assert!(session.age >= ms(19) && session.age < HOUR, "{session:?}");
    assert!(
        session.absolute_in <= (2 * HOUR).saturating_sub(ms(19)),
        "{session:?}"
    );
    let most = HOUR + HOUR / 20;
    assert!(
        session.expires_in <= most && session.expires_in > HOUR,
        "{session:?}"
    );
    assert_eq!(session.authenticated_for, session.age);
    assert!(session.renewed.is_none(), "{session:?}");
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
    let issued = lasting(&sessions, ms(100), HOUR).await;
    let other = log_in(&sessions, USER).await;
    subject.advance(ms(110)).await;
    assert!(!is_valid(&sessions, &issued.id).await);
    assert!(is_valid(&sessions, &other).await);
    assert!(!sessions.revoke(&issued.id).await.unwrap());
}

pub async fn an_active_session_expires_at_its_absolute_deadline(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let issued = lasting(&sessions, ms(300), ms(300)).await;
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
    let issued = lasting(&sessions, ms(300), HOUR).await;
    for _ in 0..4 {
        subject.advance(ms(100)).await;
        let session = sessions
            .load(&issued.id)
            .await
            .unwrap()
            .expect("it was used");
        assert!(session.expires_in > ms(200), "{session:?}");
    }
    subject.advance(ms(320)).await;
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
    lasting(&sessions, ms(50), HOUR).await;
    lasting(&sessions, ms(50), ms(50)).await;
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

pub async fn an_idle_session_lives_at_least_its_idle_time_after_any_use(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let issued = lasting(&sessions, ms(2_000), HOUR).await;
    // Too soon after its start to be written down.
    subject.advance(ms(60)).await;
    let used = tokio::time::Instant::now();
    assert!(is_valid(&sessions, &issued.id).await);
    subject.advance(ms(1_960)).await;
    // A machine that is busy for long is not the session's fault.
    if !is_valid(&sessions, &issued.id).await {
        assert!(used.elapsed() > ms(2_000), "ended before its time");
    }
    subject.advance(ms(2_110)).await;
    assert!(!is_valid(&sessions, &issued.id).await);
    assert!(listed(&sessions, USER).await.is_empty());
}

pub async fn an_active_session_stays_listed(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let issued = lasting(&sessions, ms(300), HOUR).await;
    for _ in 0..3 {
        subject.advance(ms(200)).await;
        assert!(is_valid(&sessions, &issued.id).await);
        assert_eq!(listed(&sessions, USER).await.len(), 1);
    }
    subject.advance(ms(320)).await;
    assert!(listed(&sessions, USER).await.is_empty());
}

pub async fn a_listing_tells_where_sessions_are_used_from(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let data = String::new();
    let device = Device::new()
        .with_user_agent("Firefox")
        .with_address("192.0.2.9".parse().unwrap());
    let log_in = sessions.log_in(USER, &data).device(device.clone());
    let LoggedIn::Issued(issued) = log_in.create().await.unwrap() else {
        panic!("there is no limit");
    };
    assert_eq!(sessions.list(USER).await.unwrap()[0].record.device, device);
    let loaded = sessions.load(&issued.id).await.unwrap().unwrap();
    assert_eq!(loaded.device, device);
    assert_eq!(
        loaded.id_hash(),
        listed(&sessions, USER).await.pop_first().unwrap()
    );
}

pub async fn a_listing_tells_of_sessions_with_much_data_as_of_others(subject: &Subject) {
    let long = "\u{e4}\"".repeat(5_000);
    let whole = sessions_of(subject.stay());
    let keyed = subject.stay().sessions::<BTreeMap<String, String>>();
    let keyed = keyed.secret("suite").build().unwrap();
    let keys = BTreeMap::from([("long".to_owned(), long.clone())]);
    let device = Device::new().with_user_agent("Firefox");
    for log_in in [
        whole
            .log_in(USER, &long)
            .device(device.clone())
            .create()
            .await,
        keyed
            .log_in(USER, &keys)
            .device(device.clone())
            .create()
            .await,
    ] {
        assert!(matches!(log_in.unwrap(), LoggedIn::Issued(_)));
    }
    let listed = whole.list(USER).await.unwrap();
    assert_eq!(listed.len(), 2);
    for line in listed {
        assert_eq!(line.record.user.as_deref(), Some(USER));
        assert_eq!(line.record.device, device);
    }
    let id = whole.create(USER, &long).await.unwrap().id;
    let Renewed::Issued(renewed) = whole.rotate(&id).await.unwrap() else {
        panic!("it is valid");
    };
    let loaded = whole.load(&renewed.id).await.unwrap().unwrap();
    assert_eq!(loaded.data, long);
}

pub async fn all_sessions_but_one_end_together(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let (kept, other) = (log_in(&sessions, USER).await, log_in(&sessions, USER).await);
    let bob = log_in(&sessions, "bob").await;
    assert_eq!(sessions.revoke_others(&kept).await.unwrap(), Some(1));
    assert!(is_valid(&sessions, &kept).await);
    assert!(!is_valid(&sessions, &other).await);
    assert!(is_valid(&sessions, &bob).await);
    assert_eq!(listed(&sessions, USER).await.len(), 1);
    assert_eq!(sessions.revoke_others(&other).await.unwrap(), None);
    assert_eq!(sessions.revoke_others(&kept).await.unwrap(), Some(0));
    assert!(is_valid(&sessions, &kept).await);
    assert_eq!(sessions.revoke_all(USER).await.unwrap(), 1);
    assert!(!is_valid(&sessions, &kept).await);
}

pub async fn a_visitor_has_a_session_that_is_nobodys_and_ends_at_log_in(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let cart = "cart".to_owned();
    let LoggedIn::Issued(visitor) = sessions.begin(&cart).create().await.unwrap() else {
        panic!("nobody has no limit");
    };
    let session = sessions.load(&visitor.id).await.unwrap().unwrap();
    assert_eq!((session.user, session.data), (None, cart.clone()));
    assert_eq!(sessions.revoke_others(&visitor.id).await.unwrap(), Some(0));

    let log_in = sessions.log_in(USER, &cart).in_place_of(&visitor.id);
    let LoggedIn::Issued(issued) = log_in.create().await.unwrap() else {
        panic!("there is no limit");
    };
    assert!(is_valid(&sessions, &issued.id).await);
    assert!(!is_valid(&sessions, &visitor.id).await);
    assert_eq!(listed(&sessions, USER).await.len(), 1);
}

pub async fn a_session_that_outlives_the_others_is_seen_all_the_time(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let mut kept = log_in(&sessions, USER).await;
    for round in 0..30 {
        log_in(&sessions, USER).await;
        let change = async {
            if round % 2 == 0 {
                sessions.revoke_others(&kept).await.unwrap();
                None
            } else {
                match sessions.rotate(&kept).await.unwrap() {
                    Renewed::Issued(issued) => Some(issued.id),
                    Renewed::Elsewhere | Renewed::Ended => panic!("it is valid"),
                }
            }
        };
        let looks = join_all((0..8).map(|_| is_valid(&sessions, &kept)));
        let listings = join_all((0..4).map(|_| listed(&sessions, USER)));
        let (renewed, looks, listings) = tokio::join!(change, looks, listings);
        assert_eq!(looks, [true; 8], "round {round}");
        for listing in listings {
            assert!(!listing.is_empty(), "round {round}");
        }
        kept = renewed.unwrap_or(kept);
        let loaded = sessions.load(&kept).await.unwrap().unwrap();
        assert!(
            listed(&sessions, USER).await.contains(loaded.id_hash()),
            "round {round}"
        );
    }
}

pub async fn no_listing_is_longer_than_asked_for(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    for _ in 0..3 {
        log_in(&sessions, USER).await;
    }
    for (limit, expected) in [(0, 0), (2, 2), (3, 3), (usize::MAX, 3)] {
        let lines = sessions.list_up_to(USER, limit).await.unwrap();
        assert_eq!(lines.len(), expected);
    }
}

pub async fn whatever_becomes_of_sessions_every_key_ends(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let id = log_in(&sessions, USER).await;
    let Renewed::Issued(renewed) = sessions.rotate(&id).await.unwrap() else {
        panic!("it is valid");
    };
    let Renewed::Issued(again) = sessions.authenticate_again(&renewed.id).await.unwrap() else {
        panic!("it is valid");
    };
    let check = async || {
        let Some(immortal) = subject.immortal().await else {
            let capability = "keys have no time to live that can be read from outside";
            return subject.skip("whatever_becomes_of_sessions_every_key_ends", capability);
        };
        assert_eq!(immortal, Vec::<String>::new());
    };
    check().await;
    sessions.revoke_others(&again.id).await.unwrap();
    check().await;
    assert!(is_valid(&sessions, &again.id).await);
    sessions.revoke_all(USER).await.unwrap();
    check().await;
}
