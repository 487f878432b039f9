//! Requests of users who are logged in, to servers that read their sessions, each in a process of its own.

use std::sync::Arc;
use std::time::Instant;

use mainstay_testkit::fixture::{Flavor, Server};
use tokio::sync::Mutex;

use super::cost::Cost;
use super::{Client, Profile, port_of};
use crate::Outcome;
use crate::measure::{Contestant, Plan, Row, compare};
use crate::peer::{self, Peer, Process};
use crate::round;

const CALLERS: [usize; 2] = [1, 64];

pub(super) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let server = Arc::new(Server::start(Flavor::Redis).await);
    let mut contestants = Vec::new();
    for peer in peer::for_requests(with_scripts) {
        contestants.push(contestant(&peer, &server).await?);
    }
    let mut rows = Vec::new();
    for callers in CALLERS {
        rows.extend(compare(plan, "request", callers, &contestants).await?);
    }
    Ok(rows)
}

/// Each caller is a user with a session and a connection of her own.
async fn contestant(peer: &Peer, server: &Arc<Server>) -> Outcome<Contestant> {
    let mut process = Process::start(peer, &server.url(), "-".as_ref()).await?;
    let port = port_of(&mut process).await?;
    let mut clients = Vec::new();
    for number in 0..CALLERS[1] {
        let mut client = Client::connect(port).await?;
        client.log_in(&Profile::user(number)).await?;
        clients.push(Mutex::new(client));
    }
    let (process, clients) = (Arc::new(process), Arc::new(clients));
    let server = Arc::clone(server);
    Ok(Contestant::measured(peer.name, move |round| {
        let (process, server) = (Arc::clone(&process), Arc::clone(&server));
        let clients = Arc::clone(&clients);
        async move {
            let id = process.id()?;
            let before = Cost::so_far(&server, id).await?;
            let start = Instant::now();
            let call = move |caller: usize| {
                let clients = Arc::clone(&clients);
                async move { clients[caller].lock().await.ask().await }
            };
            let measured = round::on_tasks(Arc::new(call), round).await?;
            let elapsed = start.elapsed();
            let after = Cost::so_far(&server, id).await?;
            let requests = measured.per_second * elapsed.as_secs_f64();
            Ok(measured.with_fact(after.each(&before, requests)))
        }
    }))
}
