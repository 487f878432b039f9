//! Waits until replicas have a lock.

use std::time::Duration;

use super::handle::Shared;
use super::validity;
use crate::backend::LockLease;
use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};

/// The first pause between two looks; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Returns the deadline of a lease that as many replicas have as the lock demands.
pub(super) async fn acknowledge(lock: &Shared, owner: &str, deadline: Moment) -> Result<Moment> {
    if lock.replicas == 0 {
        return Ok(deadline);
    }
    let clock = &lock.clock;
    let end = clock.now().after(lock.command_timeout).min(deadline);
    let lease = LockLease {
        key: &lock.key,
        owner,
        ttl: lock.ttl,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let sent = clock.now();
        let acknowledged = lock.store.replicate(&lease, lock.replicas).await?;
        let is_enough = acknowledged.is_some_and(|count| count >= lock.replicas.into());
        let now = clock.now();
        if is_enough && now < deadline {
            return Ok(validity::deadline(sent, lock.ttl));
        }
        if acknowledged.is_none() || now >= end {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "lock {} was acknowledged by {} replicas of {} and is released",
                    lock.name,
                    acknowledged.unwrap_or(0),
                    lock.replicas
                ),
            ));
        }
        clock.sleep_until(now.after(pause).min(end)).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
