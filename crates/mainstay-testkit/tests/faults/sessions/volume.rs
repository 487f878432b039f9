//! Many sessions of one user.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use mainstay::session::{LoggedIn, Sessions, WhenFull};
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use tokio::time::{Instant, sleep};

use super::{connect, extent, on_both_flavors};

const AT_ONCE: usize = 64;
const CAP: usize = 3;

on_both_flavors! {
    s8_the_listing_of_many_sessions_is_exact_and_leaves_nothing
    s8_a_server_that_forgets_records_lists_none_of_them
    s9_what_a_server_has_forgotten_takes_no_room
    s9_no_more_sessions_than_allowed_however_many_log_in
}

/// Bytes that data takes, without what connections do.
async fn used(server: &Server) -> u64 {
    let info = server.command(&["INFO", "memory"]).await;
    let line = info
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("used_memory_dataset:"));
    line.unwrap().trim().parse().unwrap()
}

async fn keys(server: &Server) -> i64 {
    server.command(&["DBSIZE"]).await.integer()
}

async fn s8_the_listing_of_many_sessions_is_exact_and_leaves_nothing(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let sessions: Sessions<()> = stay.sessions().build().unwrap();
    let count: usize = extent(1_000, 10_000);
    let longest = extent(3_000, 12_000);
    // So that the server knows the scripts, which it keeps.
    sessions.create("ada", &()).await.unwrap();
    for record in server.command(&["KEYS", "session:*"]).await.items() {
        server.command(&["DEL", record.text()]).await;
    }
    assert!(sessions.list("ada").await.unwrap().is_empty());
    let baseline = used(&server).await;

    let log_ins = stream::iter(0..count).map(|number| {
        let sessions = sessions.clone();
        // Spread by a multiplicative hash: each run has the same lifetimes, in no order.
        let ms = 500 + (number as u64).wrapping_mul(2_654_435_761) % longest;
        async move {
            let absolute = Duration::from_millis(ms);
            let before = Instant::now();
            let log_in = sessions
                .log_in("ada", &())
                .idle(absolute)
                .absolute(absolute);
            let LoggedIn::Issued(issued) = log_in.create().await.unwrap() else {
                panic!("there is no limit");
            };
            let session = sessions.load(&issued.id).await.unwrap();
            let hash = session.map(|session| session.id_hash().to_owned());
            (hash, before + absolute, Instant::now() + absolute)
        }
    });
    let issued: Vec<_> = log_ins.buffer_unordered(AT_ONCE).collect().await;
    let peak = used(&server).await;

    let mut looks = 0;
    let last = issued.iter().map(|(_, _, latest)| *latest).max().unwrap();
    while Instant::now() < last {
        let before = Instant::now();
        let listed = sessions.list_up_to("ada", 2 * count).await.unwrap();
        let after = Instant::now();
        let listed_count = listed.len();
        let listed: BTreeSet<_> = listed.into_iter().map(|line| line.id_hash).collect();
        assert_eq!(listed.len(), listed_count, "listed twice");
        let must = issued.iter().filter(|(_, earliest, _)| *earliest > after);
        for (hash, ..) in must {
            let hash = hash.as_ref().expect("it lived when it was made");
            assert!(listed.contains(hash), "a session that lives is not listed");
        }
        let dead = issued.iter().filter(|(_, _, latest)| *latest < before);
        for hash in dead.filter_map(|(hash, ..)| hash.as_ref()) {
            assert!(!listed.contains(hash), "a session that is dead is listed");
        }
        looks += 1;
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_millis(5)).await;
    assert!(sessions.list("ada").await.unwrap().is_empty());
    // The epoch is kept for a minute after the last session.
    let left = eventually("only the epoch is left", super::BOUND, async || {
        let keys = keys(&server).await;
        (keys <= 1).then_some(keys).ok_or_else(|| keys.to_string())
    })
    .await;
    let after = used(&server).await;
    let per_session = (peak.saturating_sub(baseline)) / count as u64;
    println!(
        "{flavor}: S8 {count} sessions of one user: {looks} listings exact; {per_session} bytes each at the peak; {left} key and {} bytes left",
        after.saturating_sub(baseline)
    );
    let gone = peak.saturating_sub(after);
    assert!(
        gone * 10 > peak.saturating_sub(baseline) * 8,
        "memory stays: {baseline}, {peak}, {after}"
    );
}

async fn s8_a_server_that_forgets_records_lists_none_of_them(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let sessions: Sessions<()> = stay.sessions().build().unwrap();
    let ids = join_all((0..40).map(|_| sessions.create("ada", &()))).await;
    // As an eviction does.
    let records = server.command(&["KEYS", "session:*"]).await;
    for record in &records.items()[..15] {
        server.command(&["DEL", record.text()]).await;
    }
    assert_eq!(sessions.list("ada").await.unwrap().len(), 25);
    let epoch = server.command(&["KEYS", "user:*"]).await;
    let epoch = epoch
        .items()
        .iter()
        .find(|key| !key.text().ends_with(":sessions"));
    server.command(&["DEL", epoch.unwrap().text()]).await;
    for issued in ids {
        let valid = sessions.load(&issued.unwrap().id).await.unwrap().is_some();
        assert!(!valid, "a session without an epoch is valid");
    }
    assert!(sessions.list("ada").await.unwrap().is_empty());
    let id = sessions.create("ada", &()).await.unwrap().id;
    assert!(sessions.load(&id).await.unwrap().is_some());
    assert_eq!(sessions.list("ada").await.unwrap().len(), 1);
}

async fn s9_what_a_server_has_forgotten_takes_no_room(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let builder = stay.sessions::<()>();
    let cap = NonZeroU32::new(3).unwrap();
    let sessions = builder.at_most(cap, WhenFull::Refuse).build().unwrap();
    for pattern in ["session:*", "user:*"] {
        while let LoggedIn::Issued(_) = sessions.log_in("ada", &()).create().await.unwrap() {}
        let keys = server.command(&["KEYS", pattern]).await;
        for key in keys.items() {
            if !key.text().ends_with(":sessions") {
                server.command(&["DEL", key.text()]).await;
            }
        }
        let mut issued = 0;
        while let LoggedIn::Issued(session) = sessions.log_in("ada", &()).create().await.unwrap() {
            assert!(sessions.load(&session.id).await.unwrap().is_some());
            issued += 1;
        }
        assert_eq!(issued, CAP, "{pattern}");
        assert_eq!(sessions.list("ada").await.unwrap().len(), CAP);
    }
}

async fn s9_no_more_sessions_than_allowed_however_many_log_in(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(connect(&server.url()).await);
    }
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let cap = NonZeroU32::new(3).unwrap();
        let nodes: Vec<Sessions<()>> = nodes
            .iter()
            .map(|stay| stay.sessions().at_most(cap, when_full).build().unwrap())
            .collect();
        for _ in 0..extent(5, 60) {
            nodes[0].revoke_all("ada").await.unwrap();
            let log_ins = (0..50).map(|caller| nodes[caller % 2].log_in("ada", &()).create());
            let watch = async {
                let mut most = 0;
                for _ in 0..20 {
                    most = most.max(nodes[0].list("ada").await.unwrap().len());
                }
                most
            };
            let (outcomes, most) = tokio::join!(join_all(log_ins), watch);
            assert!(most <= CAP, "{most} at a time");
            let (mut valid, mut issued) = (0, 0);
            for outcome in outcomes {
                if let LoggedIn::Issued(session) = outcome.unwrap() {
                    issued += 1;
                    valid += usize::from(nodes[1].load(&session.id).await.unwrap().is_some());
                }
            }
            assert_eq!(valid, CAP);
            assert_eq!(nodes[0].list("ada").await.unwrap().len(), CAP);
            let expected = if when_full == WhenFull::Refuse {
                CAP
            } else {
                50
            };
            assert_eq!(issued, expected);
        }
    }
}
