//! What channels promise, whatever breaks.

mod history;
mod liveness;

use super::{
    BOUND, COMMAND_TIMEOUT, NOTICE, RECOVERY, SLACK, connect, durable, extent, login,
    on_both_flavors,
};
