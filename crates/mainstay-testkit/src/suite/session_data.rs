//! Sessions: changes of their data.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use mainstay::session::{Saved, SessionId, Sessions};
use mainstay::{ErrorKind, Mainstay};
use serde_json::{Value, json};

use super::Subject;
use super::session::{USER, log_in, sessions_of};

type Data = BTreeMap<String, Value>;

fn keyed(stay: &Mainstay) -> Sessions<Data> {
    stay.sessions().secret("suite").build().unwrap()
}

async fn of(sessions: &Sessions<Data>, data: Value) -> SessionId {
    let data: Data = serde_json::from_value(data).unwrap();
    sessions.create(USER, &data).await.unwrap().id
}

async fn stored(sessions: &Sessions<Data>, id: &SessionId) -> Value {
    json!(sessions.load(id).await.unwrap().unwrap().data)
}

pub async fn keys_that_others_change_meanwhile_are_kept(subject: &Subject) {
    let sessions = keyed(subject.stay());
    let id = of(
        &sessions,
        json!({"kept": [], "gone": 1.5, "both": "\u{e9}\n"}),
    )
    .await;
    let mut one = sessions.load(&id).await.unwrap().unwrap();
    let mut two = sessions.load(&id).await.unwrap().unwrap();
    one.data.remove("gone");
    one.data.insert("one".to_owned(), json!({}));
    assert_eq!(sessions.save(&mut one).await.unwrap(), Saved::Stored);
    two.data
        .insert("two".to_owned(), json!(9_007_199_254_740_993_i64));
    assert_eq!(sessions.save(&mut two).await.unwrap(), Saved::Stored);
    assert_eq!(
        stored(&sessions, &id).await,
        json!({
            "kept": [],
            "both": "\u{e9}\n",
            "one": {},
            "two": 9_007_199_254_740_993_i64,
        })
    );
}

pub async fn the_later_of_two_writes_to_a_key_stays_or_is_refused(subject: &Subject) {
    let sessions = keyed(subject.stay());
    let id = of(&sessions, json!({"page": 0})).await;
    let mut first = sessions.load(&id).await.unwrap().unwrap();
    let (mut late, mut careful) = (first.clone(), first.clone());
    for (session, page) in [(&mut first, 1), (&mut late, 2), (&mut careful, 3)] {
        session.data.insert("page".to_owned(), json!(page));
        session.data.insert(format!("seen{page}"), json!(true));
    }
    assert_eq!(sessions.save(&mut first).await.unwrap(), Saved::Stored);
    assert_eq!(sessions.save(&mut late).await.unwrap(), Saved::Stored);
    let refused = sessions.save_unless_changed(&mut careful).await.unwrap();
    assert_eq!(refused, Saved::Conflict(vec!["page".to_owned()]));
    assert_eq!(
        stored(&sessions, &id).await,
        json!({"page": 2, "seen1": true, "seen2": true})
    );
    // What it was is what it is now.
    late.data.insert("page".to_owned(), json!(4));
    let saved = sessions.save_unless_changed(&mut late).await.unwrap();
    assert_eq!(saved, Saved::Stored);
}

pub async fn a_change_is_made_anew_on_what_another_has_stored(subject: &Subject) {
    const CALLERS: usize = 10;
    let sessions = keyed(subject.stay());
    let id = of(&sessions, json!({"count": 0})).await;
    let updates = (0..CALLERS).map(|caller| {
        sessions.update(&id, move |data| {
            let count = data["count"].as_u64().unwrap() + 1;
            data.insert("count".to_owned(), json!(count));
            data.insert(format!("caller{caller}"), json!(caller));
            count
        })
    });
    let mut counts: Vec<_> = join_all(updates)
        .await
        .into_iter()
        .map(|count| count.unwrap().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=CALLERS as u64).collect::<Vec<_>>());
    let data = stored(&sessions, &id).await;
    assert_eq!(data.as_object().unwrap().len(), CALLERS + 1);
}

pub async fn data_that_is_no_object_changes_as_one(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let id = log_in(&sessions, USER).await;
    let mut session = sessions.load(&id).await.unwrap().unwrap();
    let mut other = session.clone();
    "one".clone_into(&mut session.data);
    "two".clone_into(&mut other.data);
    assert_eq!(sessions.save(&mut session).await.unwrap(), Saved::Stored);
    let refused = sessions.save_unless_changed(&mut other).await.unwrap();
    assert_eq!(refused, Saved::Conflict(vec!["data".to_owned()]));
    let text = sessions.load(&id).await.unwrap().unwrap().data;
    assert_eq!(text, "one");
}

pub async fn nothing_is_saved_to_a_session_that_has_ended(subject: &Subject) {
    let sessions = keyed(subject.stay());
    let id = of(&sessions, json!({"page": 0})).await;
    let mut session = sessions.load(&id).await.unwrap().unwrap();
    session.data.insert("page".to_owned(), json!(1));
    sessions.revoke(&id).await.unwrap();
    assert_eq!(sessions.save(&mut session).await.unwrap(), Saved::Ended);
    let saved = sessions.save_unless_changed(&mut session).await.unwrap();
    assert_eq!(saved, Saved::Ended);
    let updated = sessions.update_loaded(&mut session, Data::clear);
    assert_eq!(updated.await.unwrap(), None);
    assert_eq!(sessions.update(&id, Data::clear).await.unwrap(), None);
    assert!(sessions.load(&id).await.unwrap().is_none());

    let id = of(&sessions, json!({"page": 0})).await;
    let mut session = sessions.load(&id).await.unwrap().unwrap();
    session.data.insert("page".to_owned(), json!(1));
    sessions.revoke_all(USER).await.unwrap();
    assert_eq!(sessions.save(&mut session).await.unwrap(), Saved::Ended);
    assert!(sessions.load(&id).await.unwrap().is_none());
    assert!(sessions.list(USER).await.unwrap().is_empty());
}

pub async fn more_data_than_is_allowed_is_refused_and_loses_nothing(subject: &Subject) {
    let builder = subject.stay().sessions::<Data>().secret("suite");
    let sessions = builder.max_data_bytes(20).build().unwrap();
    let id = of(&sessions, json!({"page": 7})).await;
    let error = sessions
        .update(&id, |data| {
            data.insert("more".to_owned(), json!("x".repeat(20)))
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "data of a session is 33 bytes: at most 20 are allowed"
    );
    assert_eq!(stored(&sessions, &id).await, json!({"page": 7}));
}

pub async fn data_of_another_type_is_an_error_and_no_empty_session(subject: &Subject) {
    let sessions = sessions_of(subject.stay());
    let id = log_in(&sessions, USER).await;
    let error = keyed(subject.stay()).load(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    let text = sessions.load(&id).await.unwrap().unwrap().data;
    assert_eq!(text, format!("data of {USER}"));
}
