//! What channels promise, whatever breaks.

mod history;
mod liveness;
mod model;

use super::{
    BOUND, COMMAND_TIMEOUT, NOTICE, RECOVERY, SLACK, connect, durable, extent, login,
    on_both_flavors,
};
