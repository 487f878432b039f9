//! What channels promise, whatever breaks.

mod history;

use super::{BOUND, RECOVERY, connect, durable, extent, on_both_flavors};
