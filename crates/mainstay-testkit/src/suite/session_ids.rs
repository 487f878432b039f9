//! Sessions: new ids for old ones, and how many there may be.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use mainstay::session::{Issued, LoggedIn, Renewed, SessionId, Sessions, WhenFull};

use super::session::{HOUR, USER, is_valid, listed, log_in, sessions_of};
use super::{Subject, ms};

fn issued(renewed: Renewed) -> Issued {
    match renewed {
        Renewed::Issued(issued) => issued,
        Renewed::Elsewhere | Renewed::Ended => panic!("{renewed:?}"),
    }
}

async fn rotate(sessions: &Sessions<String>, id: &SessionId) -> SessionId {
    issued(sessions.rotate(id).await.unwrap()).id
}

async fn renewed(sessions: &Sessions<String>, id: &SessionId) -> Option<SessionId> {
    sessions
        .load(id)
        .await
        .unwrap()
        .expect("it is valid")
        .renewed
}

pub async fn a_rotated_session_goes_on_under_a_new_id(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let old = log_in(&sessions, USER).await;
    let before = listed(&sessions, USER).await;
    subject.advance(ms(20)).await;
    let rotated = issued(sessions.rotate(&old).await.unwrap());
    assert_ne!(rotated.id.expose(), old.expose());
    assert!(
        rotated.absolute_in <= (24 * HOUR).saturating_sub(ms(19)),
        "{rotated:?}"
    );
    let session = sessions.load(&rotated.id).await.unwrap().unwrap();
    assert_eq!(
        (session.user.as_deref(), session.data.as_str()),
        (Some(USER), "data of ann@example.org")
    );
    assert!(session.age >= ms(19), "{session:?}");
    let after = listed(&sessions, USER).await;
    assert_eq!(after.len(), 1);
    assert!(before.is_disjoint(&after));
}

pub async fn an_old_id_works_until_its_grace_after_the_first_use_of_the_new(subject: &Subject) {
    let builder = subject.stay().sessions::<String>().secret("suite");
    let sessions = builder.grace(ms(200)).build().unwrap();
    let old = log_in(&sessions, USER).await;
    let new = rotate(&sessions, &old).await;
    for _ in 0..3 {
        subject.advance(ms(150)).await;
        // Its client has not seen the answer: it is told again.
        assert_eq!(renewed(&sessions, &old).await, Some(new.clone()));
    }
    assert_eq!(renewed(&sessions, &new).await, None);
    assert!(is_valid(&sessions, &old).await);
    subject.advance(ms(210)).await;
    assert!(!is_valid(&sessions, &old).await);
    assert!(is_valid(&sessions, &new).await);
}

pub async fn an_old_id_that_is_used_lives_as_long_as_its_session(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let data = String::new();
    let log_in = sessions.log_in(USER, &data).idle(ms(300)).create();
    let LoggedIn::Issued(old) = log_in.await.unwrap() else {
        panic!("there is no limit");
    };
    let new = rotate(&sessions, &old.id).await;
    for _ in 0..4 {
        subject.advance(ms(150)).await;
        assert_eq!(renewed(&sessions, &old.id).await, Some(new.clone()));
    }
    subject.advance(ms(320)).await;
    assert!(!is_valid(&sessions, &old.id).await);
    assert!(!is_valid(&sessions, &new).await);
}

pub async fn to_rotate_a_new_id_is_its_first_use(subject: &Subject) {
    let builder = subject.stay().sessions::<String>().secret("suite");
    let sessions = builder.grace(ms(200)).build().unwrap();
    let first = log_in(&sessions, USER).await;
    let second = rotate(&sessions, &first).await;
    let third = rotate(&sessions, &second).await;
    subject.advance(ms(210)).await;
    assert!(!is_valid(&sessions, &first).await);
    assert_eq!(renewed(&sessions, &second).await, Some(third));
}

pub async fn a_log_in_ends_the_session_that_its_old_id_leads_to(subject: &Subject) {
    for when_full in [None, Some(WhenFull::Refuse)] {
        let sessions = match when_full {
            None => sessions_of(subject.stay()),
            Some(when_full) => capped(subject, when_full),
        };
        sessions.revoke_all(USER).await.unwrap();
        let old = log_in(&sessions, USER).await;
        let _others = [log_in(&sessions, USER).await, log_in(&sessions, USER).await];
        let new = rotate(&sessions, &old).await;
        let data = String::new();
        let log_in = sessions.log_in(USER, &data).in_place_of(&old);
        let LoggedIn::Issued(issued) = log_in.create().await.unwrap() else {
            panic!("it takes the place of another");
        };
        assert!(is_valid(&sessions, &issued.id).await);
        assert!(!is_valid(&sessions, &old).await);
        assert!(!is_valid(&sessions, &new).await);
        assert_eq!(listed(&sessions, USER).await.len(), 3);
    }
}

pub async fn rotations_at_a_time_give_one_successor(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let old = log_in(&sessions, USER).await;
    let rotations = join_all((0..8).map(|_| rotate(&sessions, &old))).await;
    for id in &rotations {
        assert_eq!(id, &rotations[0]);
    }
    assert!(is_valid(&sessions, &rotations[0]).await);
    assert_eq!(listed(&sessions, USER).await.len(), 1);
}

pub async fn ids_lead_over_several_rotations(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let first = log_in(&sessions, USER).await;
    let second = rotate(&sessions, &first).await;
    let third = rotate(&sessions, &second).await;
    assert_eq!(renewed(&sessions, &first).await, Some(third.clone()));
    assert_eq!(renewed(&sessions, &second).await, Some(third.clone()));
    let mut session = sessions.load(&first).await.unwrap().unwrap();
    let change = |data: &mut String| "by an old id".clone_into(data);
    sessions.overwrite(&mut session, change).await.unwrap();
    let session = sessions.load(&third).await.unwrap().unwrap();
    assert_eq!(session.data, "by an old id");
}

pub async fn a_session_can_be_ended_by_its_old_id(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    for by_all in [false, true] {
        let old = log_in(&sessions, USER).await;
        let new = rotate(&sessions, &old).await;
        if by_all {
            assert_eq!(sessions.revoke_all(USER).await.unwrap(), 1);
        } else {
            assert!(sessions.revoke(&old).await.unwrap());
        }
        assert!(!is_valid(&sessions, &old).await);
        assert!(!is_valid(&sessions, &new).await);
        assert!(listed(&sessions, USER).await.is_empty());
        assert!(matches!(
            sessions.rotate(&old).await.unwrap(),
            Renewed::Ended
        ));
        assert!(matches!(
            sessions.rotate(&new).await.unwrap(),
            Renewed::Ended
        ));
    }
}

pub async fn an_id_before_a_second_log_in_does_not_show_it_and_leads_to_no_other(
    subject: &Subject,
) {
    let builder = subject.stay().sessions::<String>().secret("suite");
    let sessions = builder.grace(ms(300)).build().unwrap();
    let old = log_in(&sessions, USER).await;
    subject.advance(ms(50)).await;
    let new = issued(sessions.authenticate_again(&old).await.unwrap()).id;
    subject.advance(ms(20)).await;

    let by_old = sessions.load(&old).await.unwrap().unwrap();
    let by_new = sessions.load(&new).await.unwrap().unwrap();
    assert!(by_old.authenticated_for >= ms(69), "{by_old:?}");
    assert!(
        by_new.authenticated_for < by_old.authenticated_for,
        "{by_new:?}"
    );
    assert_eq!((by_old.renewed, by_new.renewed), (None, None));
    assert!(matches!(
        sessions.rotate(&old).await.unwrap(),
        Renewed::Elsewhere
    ));
    let again = sessions.authenticate_again(&old).await.unwrap();
    assert!(matches!(again, Renewed::Elsewhere));

    subject.advance(ms(300)).await;
    assert!(!is_valid(&sessions, &old).await);
    assert!(is_valid(&sessions, &new).await);
    assert_eq!(listed(&sessions, USER).await.len(), 1);
}

fn capped(subject: &Subject, when_full: WhenFull) -> Sessions<String> {
    let builder = subject.stay().sessions::<String>().secret("suite");
    let three = NonZeroU32::new(3).unwrap();
    builder.at_most(three, when_full).build().unwrap()
}

pub async fn a_log_in_beyond_the_limit_ends_the_one_that_would_end_first(subject: &Subject) {
    let sessions = capped(subject, WhenFull::EndOldest);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(log_in(&sessions, USER).await);
        subject.advance(ms(20)).await;
    }
    let fourth = log_in(&sessions, USER).await;
    assert!(!is_valid(&sessions, &ids[0]).await);
    for id in [&ids[1], &ids[2], &fourth] {
        assert!(is_valid(&sessions, id).await);
    }
    assert_eq!(listed(&sessions, USER).await.len(), 3);
    assert!(is_valid(&sessions, &log_in(&sessions, "bob").await).await);
}

pub async fn a_log_in_beyond_the_limit_is_refused_until_there_is_room(subject: &Subject) {
    let sessions = capped(subject, WhenFull::Refuse);
    let data = String::new();
    let try_log_in = || sessions.log_in(USER, &data).idle(ms(400)).create();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let LoggedIn::Issued(issued) = try_log_in().await.unwrap() else {
            panic!("there is room");
        };
        ids.push(issued.id);
    }
    assert!(matches!(try_log_in().await.unwrap(), LoggedIn::Full));
    let error = sessions.create(USER, &data).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the user has as many sessions as are allowed"
    );
    for id in &ids {
        assert!(is_valid(&sessions, id).await);
    }
    sessions.revoke(&ids[0]).await.unwrap();
    assert!(matches!(try_log_in().await.unwrap(), LoggedIn::Issued(_)));
    assert!(matches!(try_log_in().await.unwrap(), LoggedIn::Full));
    // Who logs in again takes no more room.
    let again = sessions.log_in(USER, &data).in_place_of(&ids[1]);
    let LoggedIn::Issued(again) = again.idle(ms(400)).create().await.unwrap() else {
        panic!("it takes the place of another");
    };
    assert!(!is_valid(&sessions, &ids[1]).await);
    assert!(is_valid(&sessions, &again.id).await);
    assert!(matches!(try_log_in().await.unwrap(), LoggedIn::Full));
    subject.advance(ms(430)).await;
    assert!(matches!(try_log_in().await.unwrap(), LoggedIn::Issued(_)));
}

pub async fn never_are_there_more_sessions_than_allowed(subject: &Subject) {
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let sessions = capped(subject, when_full);
        sessions.revoke_all(USER).await.unwrap();
        let data = String::new();
        let log_ins = (0..20).map(|_| sessions.log_in(USER, &data).create());
        let mut valid = 0;
        for outcome in join_all(log_ins).await {
            if let LoggedIn::Issued(issued) = outcome.unwrap() {
                valid += usize::from(is_valid(&sessions, &issued.id).await);
            }
        }
        assert_eq!(valid, 3);
        assert_eq!(listed(&sessions, USER).await.len(), 3);
    }
}
