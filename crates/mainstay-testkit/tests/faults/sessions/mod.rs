//! What sessions promise, whatever races with them and whatever breaks.

mod changes;
mod cookies;
mod ids;
mod logs;
mod outage;
mod plain;
mod race;
mod replies;
mod revocation;
mod site;
mod times;
mod tower;
mod volume;

use super::{BOUND, COMMAND_TIMEOUT, SLACK, connect, extent, on_both_flavors, worker};
