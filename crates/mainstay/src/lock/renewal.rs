//! Extends a guard's lease until the guard is gone or the lock is lost.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::watch;

use super::handle::Shared;
use super::validity;
use crate::backend::Renewal;
use crate::clock::Moment;

/// Longest pause before a failed renewal is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What a guard knows of its lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenure {
    pub(super) deadline: Moment,
    pub(super) lost: bool,
}

/// Renews every third of the ttl. Ends when the lock is lost: at once when the store says so, at
/// the deadline whatever the store says or does not say.
pub(super) async fn keep(lock: Arc<Shared>, owner: String, tenure: watch::Sender<Tenure>) {
    let third = lock.ttl.as_duration() / 3;
    let mut pause = third;
    loop {
        let deadline = tenure.borrow().deadline;
        let next = lock.clock.now().after(pause).min(deadline);
        lock.clock.sleep_until(next).await;
        let sent = lock.clock.now();
        let renewal = tokio::select! {
            biased;
            () = lock.clock.sleep_until(deadline) => break,
            renewal = lock.store.renew(&lock.key, &owner, lock.ttl) => renewal,
        };
        match renewal {
            Ok(Renewal::Renewed { .. }) if lock.clock.now() >= deadline => break,
            Ok(Renewal::Renewed { .. }) => {
                let deadline = validity::deadline(sent, lock.ttl);
                tenure.send_modify(|tenure| tenure.deadline = deadline);
                pause = third;
            }
            Ok(Renewal::NotHeld) => break,
            Err(error) => {
                tracing::warn!(lock = %lock.name, %error, "lock not renewed: trying again");
                pause = (third / 10).min(RETRY_EVERY);
            }
        }
    }
    tenure.send_modify(|tenure| tenure.lost = true);
    tracing::warn!(lock = %lock.name, "lock lost");
    counter!("mainstay_lock_lost_total", "lock" => lock.name.to_string()).increment(1);
}
