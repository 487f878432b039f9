//! What locks promise, whatever fails.

mod clocks;
mod exclusion;
mod fenced;
mod holders;
mod promotion;
mod queue;
mod redlock;
mod replicas;
mod replies;
mod restart;
