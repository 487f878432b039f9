//! The log-out everywhere, of a user with few sessions and of one with many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use mainstay::Mainstay;
use mainstay::session::Sessions;
use mainstay_testkit::fixture::{Flavor, Server};

use super::Profile;
use super::profile::Claims;
use crate::Outcome;
use crate::latency::Latencies;
use crate::measure::{Contestant, Measured, Plan, Row, compare};

/// Users who log out everywhere in one round.
const USERS: usize = 10;
/// Log-ins under way before that.
const LOG_INS: usize = 64;

pub(super) async fn run(plan: &Plan) -> Outcome<Vec<Row>> {
    let server = Arc::new(Server::start(Flavor::Redis).await);
    let sessions = Mainstay::connect(&server.url())
        .await?
        .sessions::<Claims>()
        .build()?;
    let next_user = Arc::new(AtomicUsize::new(0));
    let contestants = [
        ("mainstay, 10,000 sessions", 10_000),
        ("mainstay, 10 sessions", 10),
    ];
    let contestants = contestants.map(|(name, of_a_user)| {
        let (server, sessions) = (Arc::clone(&server), sessions.clone());
        let next_user = Arc::clone(&next_user);
        Contestant::measured(name, move |_| {
            let (server, sessions) = (Arc::clone(&server), sessions.clone());
            let first = next_user.fetch_add(USERS, Ordering::Relaxed);
            async move {
                let measured = log_outs(&server, &sessions, first, of_a_user).await?;
                // Records are kept until they expire.
                server.command(&["FLUSHALL"]).await;
                Ok(measured)
            }
        })
    });
    compare(plan, "log-out everywhere", 1, &contestants).await
}

async fn log_outs(
    server: &Server,
    sessions: &Sessions<Claims>,
    first: usize,
    of_a_user: usize,
) -> Outcome<Measured> {
    let mut latencies = Latencies::new()?;
    let mut elapsed = Duration::ZERO;
    let users: Vec<_> = (first..first + USERS).map(Profile::user).collect();
    let claims = Claims::usual();
    for user in &users {
        let log_ins = iter(0..of_a_user).map(|_| sessions.create(user, &claims));
        let issued: Vec<_> = log_ins.buffer_unordered(LOG_INS).try_collect().await?;
        assert_eq!(issued.len(), of_a_user);
    }
    for user in &users {
        let begin = Instant::now();
        let ended = sessions.revoke_all(user).await?;
        let took = begin.elapsed();
        assert_eq!(ended, of_a_user as u64, "not all sessions were listed");
        latencies.record(took);
        elapsed += took;
        freed(server).await?;
    }
    Ok(Measured::new(&latencies, elapsed))
}

/// Waits until the server's other thread has freed the listing, so that no log-out meets the one before.
async fn freed(server: &Server) -> Outcome<()> {
    loop {
        let info = server.command(&["INFO", "memory"]).await;
        let mut lines = info.text().lines();
        let pending = lines.find_map(|line| line.strip_prefix("lazyfree_pending_objects:"));
        if pending.ok_or("no pending objects in INFO memory")?.trim() == "0" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
