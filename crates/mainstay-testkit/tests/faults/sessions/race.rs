//! Revocation that races with log-ins.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mainstay::Mainstay;
use mainstay::session::{SessionId, Sessions};
use mainstay_testkit::fixture::{Flavor, Server};
use tokio::task::JoinSet;

use super::{connect, extent, on_both_flavors};

const USER: &str = "ann";
const LOGINS: usize = 8;

on_both_flavors! {
    s1_revocations_that_race_with_logins_leave_nothing_behind
}

async fn s1_revocations_that_race_with_logins_leave_nothing_behind(flavor: Flavor) {
    let server = Server::start(flavor).await;
    race(&flavor.to_string(), connect(&server.url()).await).await;
}

mod memory {
    use mainstay::Mainstay;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn s1_revocations_that_race_with_logins_leave_nothing_behind() {
        super::race("memory", Mainstay::memory()).await;
    }
}

async fn valid(sessions: &Sessions<u32>, ids: &[SessionId]) -> usize {
    let loads = join_all(ids.iter().map(|id| sessions.load(id))).await;
    loads
        .iter()
        .filter(|load| load.as_ref().unwrap().is_some())
        .count()
}

async fn listed(sessions: &Sessions<u32>) -> usize {
    let lines = sessions.list(USER).await.unwrap();
    let hashes: BTreeSet<_> = lines.iter().map(|line| &line.id_hash).collect();
    assert_eq!(hashes.len(), lines.len(), "listed twice");
    hashes.len()
}

async fn race(backend: &str, stay: Mainstay) {
    let sessions = stay.sessions::<u32>().build().unwrap();
    let rounds = extent(100, 1_000);
    let mut survivors = 0;
    for round in 0..rounds {
        let mut logins = JoinSet::new();
        for number in 0..LOGINS {
            let sessions = sessions.clone();
            let number = u32::try_from(number).unwrap();
            logins.spawn(async move { sessions.create(USER, &number).await.unwrap().id });
        }
        // The others are under way when the first has its answer.
        let first = logins.join_next().await.unwrap().unwrap();
        sessions.revoke_all(USER).await.unwrap();
        let mut ids = logins.join_all().await;
        ids.push(first);
        let alive = valid(&sessions, &ids).await;
        assert_eq!(
            listed(&sessions).await,
            alive,
            "round {round}: not listed, but valid"
        );
        survivors += alive;

        sessions.revoke_all(USER).await.unwrap();
        assert_eq!(
            valid(&sessions, &ids).await,
            0,
            "round {round}: valid after the end"
        );
        assert_eq!(listed(&sessions).await, 0, "round {round}");

        let new = sessions.create(USER, &7).await.unwrap();
        let session = sessions.load(&new.id).await.unwrap();
        assert_eq!(
            session.expect("a new log-in works").data,
            7,
            "round {round}"
        );
    }
    println!(
        "{backend}: S1 {rounds} rounds of {LOGINS} log-ins, {survivors} after the racing revocation"
    );
}
