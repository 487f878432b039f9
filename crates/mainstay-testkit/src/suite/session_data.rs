//! Sessions: changes of their data.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::join_all;
use mainstay::session::{Saved, SessionId, Sessions};
use mainstay::{ErrorKind, Mainstay};
use serde::{Deserialize, Serialize};
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

/// A change of one key.
fn put(key: &str, value: Value) -> impl Fn(&mut Data) + Clone {
    move |data| {
        data.insert(key.to_owned(), value.clone());
    }
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
    let change = |data: &mut Data| {
        data.remove("gone");
        data.insert("one".to_owned(), json!({}));
    };
    let saved = sessions.overwrite(&mut one, change).await.unwrap();
    assert_eq!(saved, Saved::Stored);
    let change = put("two", json!(9_007_199_254_740_993_i64));
    let saved = sessions.overwrite(&mut two, change).await.unwrap();
    assert_eq!(saved, Saved::Stored);
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
    let turn_to = |page: u32| {
        move |data: &mut Data| {
            put("page", json!(page))(data);
            put(&format!("seen{page}"), json!(true))(data);
        }
    };
    let saved = sessions.try_update(&mut first, turn_to(1)).await.unwrap();
    assert_eq!(saved, Saved::Stored);
    let saved = sessions.overwrite(&mut late, turn_to(2)).await.unwrap();
    assert_eq!(saved, Saved::Stored);
    let refused = sessions.try_update(&mut careful, turn_to(3)).await.unwrap();
    assert_eq!(refused, Saved::Conflict(vec!["page".to_owned()]));
    assert_eq!(
        stored(&sessions, &id).await,
        json!({"page": 2, "seen1": true, "seen2": true})
    );
    // What it was is what it is now.
    let saved = sessions.try_update(&mut late, turn_to(4)).await.unwrap();
    assert_eq!(saved, Saved::Stored);
    assert_eq!(late.data["page"], 4);
}

/// What an earlier version of a service knows of its sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Earlier {
    visits: u32,
    #[serde(default)]
    theme: String,
    #[serde(default)]
    roles: HashSet<String>,
    #[serde(default)]
    prices: HashMap<String, f64>,
}

pub async fn keys_that_a_change_does_not_touch_are_not_written(subject: &Subject) {
    let later = keyed(subject.stay());
    let earlier: Sessions<Earlier> = subject.stay().sessions().secret("suite").build().unwrap();
    for overwrites in [false, true] {
        let roles: Vec<_> = (0..20).map(|number| format!("role{number}")).collect();
        let prices: BTreeMap<_, _> = (0..20)
            .map(|number| (format!("item{number}"), 0.1 + f64::from(number)))
            .collect();
        let all =
            json!({"visits": 1, "unknown": "to the earlier", "roles": roles, "prices": prices});
        let id = of(&later, all).await;
        let mut loaded = earlier.load(&id).await.unwrap().unwrap();
        // Meanwhile another node writes what this one has seen, but does not change.
        let others = |data: &mut Data| {
            put("theme", json!("dark"))(data);
            put("roles", json!([]))(data);
            put("prices", json!({}))(data);
        };
        later.update(&id, others).await.unwrap().unwrap();
        let count = |data: &mut Earlier| data.visits += 1;
        let saved = if overwrites {
            earlier.overwrite(&mut loaded, count).await.unwrap()
        } else {
            earlier.try_update(&mut loaded, count).await.unwrap()
        };
        assert_eq!(saved, Saved::Stored);
        assert_eq!(
            stored(&later, &id).await,
            json!({
                "visits": 2,
                "unknown": "to the earlier",
                "theme": "dark",
                "roles": [],
                "prices": {},
            })
        );
    }
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
    let write = |text: &'static str| move |data: &mut String| text.clone_into(data);
    let saved = sessions
        .overwrite(&mut session, write("one"))
        .await
        .unwrap();
    assert_eq!(saved, Saved::Stored);
    let refused = sessions.try_update(&mut other, write("two")).await.unwrap();
    assert_eq!(refused, Saved::Conflict(vec!["data".to_owned()]));
    let text = sessions.load(&id).await.unwrap().unwrap().data;
    assert_eq!(text, "one");
}

pub async fn nothing_is_saved_to_a_session_that_has_ended(subject: &Subject) {
    let sessions = keyed(subject.stay());
    for by_all in [false, true] {
        let id = of(&sessions, json!({"page": 0})).await;
        let mut session = sessions.load(&id).await.unwrap().unwrap();
        if by_all {
            sessions.revoke_all(USER).await.unwrap();
        } else {
            sessions.revoke(&id).await.unwrap();
        }
        let turn = put("page", json!(1));
        let saved = sessions
            .overwrite(&mut session, turn.clone())
            .await
            .unwrap();
        assert_eq!(saved, Saved::Ended);
        let saved = sessions
            .try_update(&mut session, turn.clone())
            .await
            .unwrap();
        assert_eq!(saved, Saved::Ended);
        let updated = sessions.update_loaded(&mut session, turn.clone()).await;
        assert_eq!(updated.unwrap(), None);
        assert_eq!(sessions.update(&id, turn).await.unwrap(), None);
        assert!(sessions.load(&id).await.unwrap().is_none());
        assert!(sessions.list(USER).await.unwrap().is_empty());
    }
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
