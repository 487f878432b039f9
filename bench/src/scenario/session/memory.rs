//! What the store keeps for a session, by 10,000 log-ins to servers in processes of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use mainstay_testkit::fixture::{Flavor, Server};
use redis::aio::MultiplexedConnection;

use super::{Client, Profile, port_of};
use crate::Outcome;
use crate::fact::Fact;
use crate::latency::Latencies;
use crate::measure::{Contestant, Measured, Plan, Row, compare};
use crate::peer::{self, Peer, Process};
use crate::scenario::connection;

const SESSIONS: usize = 10_000;
const CALLERS: usize = 64;
/// Users before the others, whose log-ins are not counted: connections, tables and buffers are there
/// after them.
const FIRST: usize = 900_000;
const FIRST_LOG_INS: usize = 4;
/// Nothing of it is random but the speed, which others measure.
const ONCE: Plan = Plan {
    seconds: 1.0,
    rounds: 1,
};
/// Keys that the server is asked about at once.
const BATCH: usize = 1_000;

/// Whether clients tell what they are.
#[derive(Clone, Copy)]
enum Agent {
    Told,
    Untold,
}

pub(super) async fn run(with_scripts: bool) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (case, of_a_user) in [("log-in, 1 a user", 1), ("log-in, 10 a user", 10)] {
        let mut contestants = Vec::new();
        for peer in peer::for_log_ins(with_scripts) {
            if peer.name == "mainstay" {
                let untold = Peer {
                    name: "mainstay, no user agent",
                    ..peer
                };
                contestants.push(contestant(untold, Agent::Untold, of_a_user));
            }
            contestants.push(contestant(peer, Agent::Told, of_a_user));
        }
        rows.extend(compare(&ONCE, case, CALLERS, &contestants).await?);
    }
    Ok(rows)
}

fn contestant(peer: Peer, agent: Agent, of_a_user: usize) -> Contestant {
    let name = peer.name;
    let peer = Arc::new(peer);
    Contestant::measured(name, move |_| {
        let peer = Arc::clone(&peer);
        async move { log_ins(&peer, agent, of_a_user).await }
    })
}

async fn log_ins(peer: &Peer, agent: Agent, of_a_user: usize) -> Outcome<Measured> {
    let server = Server::start(Flavor::Redis).await;
    let mut process = Process::start(peer, &server.url(), "-".as_ref()).await?;
    let port = port_of(&mut process).await?;
    let mut connection = connection::bare(&server.url()).await?;
    let clients = (0..CALLERS).map(|number| async move {
        let mut client = match agent {
            Agent::Told => Client::connect(port).await?,
            Agent::Untold => Client::nameless(port).await?,
        };
        for _ in 0..FIRST_LOG_INS {
            client.log_in(&Profile::user(FIRST + number)).await?;
        }
        Outcome::Ok(client)
    });
    let clients = try_join_all(clients).await?;
    let before = Kept::now(&mut connection).await?;
    let start = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(caller, mut client)| {
            tokio::spawn(async move {
                let mut latencies = Latencies::new()?;
                for number in (caller..SESSIONS).step_by(CALLERS) {
                    let user = Profile::user(number / of_a_user);
                    let begin = Instant::now();
                    client.log_in(&user).await?;
                    latencies.record(begin.elapsed());
                    client.ask().await?;
                }
                Outcome::Ok((latencies, client))
            })
        })
        .collect();
    let (mut all, mut clients) = (Latencies::new()?, Vec::new());
    for task in tasks {
        let (latencies, client) = task.await??;
        all.add(&latencies)?;
        clients.push(client);
    }
    let elapsed = start.elapsed();
    let after = Kept::now(&mut connection).await?;
    drop(clients);
    Ok(Measured::new(&all, elapsed).with_fact(after.each_since(&before)))
}

/// What is in the server.
struct Kept {
    bytes: f64,
    key_bytes: f64,
    keys: f64,
}

impl Kept {
    async fn now(connection: &mut MultiplexedConnection) -> Outcome<Self> {
        let bytes = settled(connection).await?;
        let mut names = redis::cmd("KEYS");
        names.arg("*");
        let names: Vec<String> = names.query_async(connection).await?;
        let mut key_bytes = 0;
        for names in names.chunks(BATCH) {
            let mut usages = redis::pipe();
            for name in names {
                let usage = usages.cmd("MEMORY").arg("USAGE").arg(name);
                usage.arg("SAMPLES").arg(0);
            }
            let usages: Vec<u64> = usages.query_async(connection).await?;
            key_bytes += usages.iter().sum::<u64>();
        }
        Ok(Self {
            bytes: bytes as f64,
            key_bytes: key_bytes as f64,
            keys: names.len() as f64,
        })
    }

    /// For one session.
    fn each_since(&self, before: &Self) -> Fact {
        let share = |after: f64, before: f64| (after - before) / SESSIONS as f64;
        Fact::Kept {
            bytes: share(self.bytes, before.bytes),
            key_bytes: share(self.key_bytes, before.key_bytes),
            keys: share(self.keys, before.keys),
        }
    }
}

/// Memory that is taken by other than clients, once tables have their size.
async fn settled(connection: &mut MultiplexedConnection) -> Outcome<u64> {
    let mut last = None;
    loop {
        let mut info = redis::cmd("INFO");
        let info: String = info.arg("memory").query_async(connection).await?;
        let figure = |name: &str| {
            let found = info.lines().find_map(|line| line.strip_prefix(name));
            let found = found.ok_or_else(|| format!("no {name} in INFO memory"))?;
            Outcome::Ok(found.parse::<u64>()?)
        };
        let used = figure("used_memory:")? - figure("mem_clients_normal:")?;
        if last.is_some_and(|last: u64| used.abs_diff(last) < 1_024) {
            return Ok(used);
        }
        last = Some(used);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
