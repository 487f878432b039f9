//! Rate limits: decided by the store, and by what a process has drawn ahead.

mod exact;
mod limitador;
mod node;
mod prepaid;

pub(crate) use self::node::serve as serve_node;
use crate::Outcome;
use crate::measure::{Plan, Row};

/// Out of reach: every decision is an admission.
const LIMIT: u64 = 1_000_000_000;

pub(crate) async fn run(plan: &Plan, with_scripts: bool) -> Outcome<Vec<Row>> {
    let mut rows = exact::run(plan, with_scripts).await?;
    rows.extend(prepaid::run(plan).await?);
    rows.extend(node::run().await?);
    Ok(rows)
}
