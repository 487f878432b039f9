//! Tries to take a lock until it is taken or the wait is over.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument, Span, debug_span, field};

use super::Fence;
use super::handle::Shared;
use super::orphan::Orphan;
use super::{metrics, replicas, validity};
use crate::backend::{Hold, LockTry, Wakeups};
use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::random;
use crate::ttl::Ttl;

/// How long a place in the queue lasts: a waiter that has died holds the others up for no longer.
const PLACE_FOR: Duration = Duration::from_secs(1);

/// How often a waiter asks again, to keep its place and since calls may be lost.
const LOOK_EVERY: Duration = Duration::from_millis(600);

/// Waiters behind one that does not take its turn who look when its place ends.
const CLOSE_BEHIND: u64 = 16;

/// Pause before an attempt is sent again after an error, less up to half of it.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

pub(super) enum Attempt {
    Taken(Taken),
    Held {
        left: Option<Duration>,
        holder: String,
    },
}

/// A lock that is held; whoever has this must release it.
pub(super) struct Taken {
    pub(super) owner: String,
    pub(super) fence: Fence,
    pub(super) deadline: Moment,
}

/// Tries for `wait`, at least once.
pub(super) async fn run(lock: &Arc<Shared>, wait: Duration) -> Result<Attempt> {
    let span = debug_span!("lock.acquire", lock = %lock.name, ?wait, outcome = field::Empty);
    let trying = async {
        let started = lock.clock.now();
        let attempt = attempt(lock, wait).await;
        let outcome = match &attempt {
            Ok(Attempt::Taken(_)) => {
                metrics::acquired(&lock.name, lock.clock.now().since(started));
                "acquired"
            }
            Ok(Attempt::Held { .. }) => {
                metrics::refused(&lock.name);
                "held"
            }
            Err(_) => "error",
        };
        Span::current().record("outcome", outcome);
        attempt
    };
    trying.instrument(span).await
}

/// One owner for all attempts: a lost reply is safe to ask for
/// again, because the store answers its holder with the same fence. Who waits has a place in the
/// queue, and is called when it is their turn.
async fn attempt(lock: &Arc<Shared>, wait: Duration) -> Result<Attempt> {
    let clock = &lock.clock;
    let started = clock.now();
    let end = started.after(wait);
    let end_of_errors = started.after(wait.max(lock.command_timeout));
    let place = (!wait.is_zero()).then(|| Ttl::new(PLACE_FOR)).transpose()?;
    let mut orphan = Orphan::new(Arc::clone(lock));
    // Before the first attempt: who need not wait for it misses no call.
    let mut wakeups = place.and_then(|_| lock.store.wakeups_at_hand(&lock.key, orphan.owner()));
    let mut has_listened = wakeups.is_some();
    let mut reply_lost = false;
    loop {
        let sent = clock.now();
        orphan.may_hold();
        let hold = Hold {
            claim: lock.claim,
            owner: orphan.owner(),
            ttl: lock.ttl,
            holder: lock.holder,
            place,
        };
        let error = match lock.store.acquire(&lock.key, &hold).await {
            Ok(LockTry::Acquired { fence }) => {
                let deadline = validity::deadline(sent, lock.ttl);
                if clock.now() < deadline {
                    return match replicas::acknowledge(lock, orphan.owner(), deadline).await {
                        Ok(deadline) => Ok(Attempt::Taken(Taken {
                            owner: orphan.into_owner(),
                            fence: Fence::from(fence),
                            deadline,
                        })),
                        Err(error) => {
                            orphan.give_up().await;
                            Err(error)
                        }
                    };
                }
                reply_lost = true;
                Error::new(
                    ErrorKind::Unknown,
                    "reply to a lock's acquisition came after the lease had ended",
                )
            }
            Ok(LockTry::Held {
                left,
                holder,
                before,
            }) => {
                if !reply_lost && place.is_none() {
                    orphan.holds_nothing();
                }
                let now = clock.now();
                if now >= end {
                    orphan.give_up().await;
                    let holder = holder.unwrap_or_default();
                    return Ok(Attempt::Held { left, holder });
                }
                if !has_listened {
                    // A call between the attempt and this goes unheard: try again at once. A
                    // subscription that takes long must not cost the place.
                    let until = sent.after(LOOK_EVERY).min(end);
                    let listening = listen(lock, orphan.owner(), until).await;
                    has_listened = !matches!(listening, Listening::Late);
                    wakeups = listening.wakeups();
                    continue;
                }
                // Whoever comes next looks when what is in the way ends; the others keep their places.
                let close = if holder.is_none() { CLOSE_BEHIND } else { 0 };
                let is_next = before.is_none_or(|before| before <= close);
                // A place is kept from when it was asked for, however long the answer took.
                let keep = sent.after(LOOK_EVERY);
                let free = left
                    .filter(|_| is_next)
                    .map(|left| now.after(until_free(left)));
                let look_again = free.map_or(keep, |free| free.min(keep)).min(end);
                tokio::select! {
                    () = woken(&mut wakeups) => {}
                    () = clock.sleep_until(look_again) => {}
                }
                continue;
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Unknown => reply_lost = true,
            _ if !reply_lost && place.is_none() => orphan.holds_nothing(),
            _ => {}
        }
        let now = clock.now();
        // Only a lost reply is worth more time than the wait: the lock may be ours already.
        let patience = if reply_lost { end_of_errors } else { end };
        if !is_transient(&error) || now >= patience {
            return Err(error);
        }
        let pause = PAUSE_AFTER_ERROR / 2 + random::up_to(PAUSE_AFTER_ERROR / 2);
        clock.sleep_until(now.after(pause).min(patience)).await;
    }
}

enum Listening {
    Heard(Box<dyn Wakeups>),
    /// There are no calls to be had.
    Refused,
    /// Not yet.
    Late,
}

impl Listening {
    fn wakeups(self) -> Option<Box<dyn Wakeups>> {
        match self {
            Self::Heard(wakeups) => Some(wakeups),
            Self::Refused | Self::Late => None,
        }
    }
}

async fn listen(lock: &Shared, owner: &str, until: Moment) -> Listening {
    let listening = tokio::select! {
        listening = lock.store.wakeups(&lock.key, owner) => listening,
        () = lock.clock.sleep_until(until) => return Listening::Late,
    };
    match listening {
        Ok(wakeups) => Listening::Heard(wakeups),
        Err(error) => {
            tracing::debug!(lock = %lock.name, %error, "no wake-ups: waiting by polling");
            Listening::Refused
        }
    }
}

async fn woken(wakeups: &mut Option<Box<dyn Wakeups>>) {
    match wakeups {
        Some(wakeups) => wakeups.next().await,
        None => std::future::pending().await,
    }
}

/// One millisecond on top: a lease that ends in 0.4 ms is not asked for a hundred times.
fn until_free(left: Duration) -> Duration {
    left.saturating_add(Duration::from_millis(1))
        .min(LOOK_EVERY)
}

pub(super) fn is_transient(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unknown | ErrorKind::Unavailable)
}
