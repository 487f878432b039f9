//! Locks: uncontended, handed from one to the next of many who wait, and held in large numbers.

mod contended;
mod held;
mod uncontended;

use std::sync::Arc;

use mainstay_testkit::fixture::Server;
use tokio::sync::Mutex;

use crate::Outcome;
use crate::measure::{Plan, Row};
use crate::peer::{self, Process};

pub(crate) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let mut rows = uncontended::run(plan, with_scripts).await?;
    rows.extend(contended::run(plan, with_scripts).await?);
    rows.extend(held::run().await?);
    Ok(rows)
}

/// How long mainstay has the server keep what is known of a name, in milliseconds.
const KEPT_MS: &str = "694800000";

/// A running peer, asked for one round at a time.
type Shared = Arc<Mutex<Process>>;

async fn peers(server: &Server, with_scripts: bool) -> Outcome<Vec<(&'static str, Shared)>> {
    let mut peers = Vec::new();
    for peer in peer::for_locks(with_scripts) {
        let process = Process::start(&peer, &server.url(), "-".as_ref()).await?;
        peers.push((peer.name, Arc::new(Mutex::new(process))));
    }
    Ok(peers)
}

/// The scripts that mainstay runs, with what goes into them.
mod scripts {
    macro_rules! lua {
        ($name:literal) => {
            include_str!(concat!(
                "../../../../crates/mainstay/src/backend/redis/lua/",
                $name
            ))
        };
    }

    const HERE: &str = "-- PRELUDE\n";

    pub(super) fn acquire() -> String {
        lua!("lock_acquire.lua").replace(HERE, lua!("lock_queue.lua"))
    }

    pub(super) fn release() -> String {
        lua!("lock_release.lua").replace(HERE, lua!("lock_queue.lua"))
    }

    pub(super) fn renew() -> String {
        lua!("lock_renew.lua").to_owned()
    }
}
