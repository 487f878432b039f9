//! What passes between the task of a worker, its deliveries and the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::lease::Outcome;
use crate::backend::{Settled, Taken, Wakeups};
use crate::clock::Moment;
use crate::error::Result;
use crate::ttl::Ttl;

/// What others want of the task.
pub(super) enum Order {
    Settle {
        id: Arc<str>,
        fence: u64,
        outcome: Outcome,
        /// `None` when the delivery was dropped.
        reply: Option<oneshot::Sender<Result<Settled>>>,
    },
    /// Take no more, and end when nothing is in flight, or when the grace is over.
    Stop { grace: Option<Duration> },
}

/// A delivery that is to end.
pub(super) struct Ending {
    pub(super) id: Arc<str>,
    pub(super) fence: u64,
    pub(super) outcome: Outcome,
    pub(super) reply: Option<oneshot::Sender<Result<Settled>>>,
}

/// A delivery that is out.
pub(super) struct Held {
    pub(super) id: Arc<str>,
    pub(super) lost: watch::Sender<bool>,
    /// The store may give it to another from then on.
    pub(super) deadline: Moment,
    pub(super) is_ending: bool,
    /// Nobody has the delivery any more: what cannot be settled is left to its lease.
    pub(super) is_dropped: bool,
}

/// What the store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Take,
    Settle,
    Renew,
    Listen,
}

pub(super) enum Answer {
    Taken(Moment, Result<Taken>, u64),
    Settled(Vec<Ending>, Result<Vec<Settled>>),
    Renewed(Moment, Vec<(Arc<str>, u64)>, Result<Vec<bool>>),
    Listening(Result<Box<dyn Wakeups>>),
}

/// How long a worker may believe in a lease that was asked for at `sent`: the store counts from later on.
/// 1 % and 2 ms are taken off for two clocks that do not run alike.
pub(super) fn deadline(sent: Moment, lease: Ttl) -> Moment {
    let lease = lease.as_duration();
    let drift = lease / 100 + Duration::from_millis(2);
    sent.after(lease.saturating_sub(drift))
}
