//! Sessions: a request of a logged-in user, what the store keeps for one, and the log-out everywhere.

mod app;
mod client;
mod cost;
mod library;
mod memory;
mod profile;
mod requests;
mod revoke;

use std::time::Duration;

use serde_json::json;

pub(crate) use self::app::serve as serve_app;
use self::client::Client;
use self::profile::Profile;
use crate::Outcome;
use crate::measure::{Plan, Row};
use crate::peer::Process;

pub(crate) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let mut rows = requests::run(plan, with_scripts).await?;
    rows.extend(library::run(plan).await?);
    rows.extend(memory::run(with_scripts).await?);
    rows.extend(revoke::run(plan).await?);
    Ok(rows)
}

/// Where a server listens.
async fn port_of(process: &mut Process) -> Outcome<u16> {
    let answer = process
        .ask(&json!({"do": "listen"}), Duration::ZERO)
        .await?;
    let port = answer.get("port").and_then(serde_json::Value::as_u64);
    Ok(port.ok_or("a server told no port")?.try_into()?)
}
