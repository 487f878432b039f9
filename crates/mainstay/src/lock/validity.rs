//! How long a holder may believe in its lease.

use std::time::Duration;

use crate::clock::Moment;
use crate::ttl::Ttl;

/// When a lease that was asked for at `sent` ends at the latest.
///
/// The store counts from the moment it saw the request, which is later. 1 % and 2 ms are taken
/// off for two clocks that do not run alike, as Redlock does
/// (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>).
pub(super) fn deadline(sent: Moment, ttl: Ttl) -> Moment {
    let ttl = ttl.as_duration();
    let drift = ttl / 100 + Duration::from_millis(2);
    sent.after(ttl.saturating_sub(drift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn a_lease_counts_from_the_send_less_the_drift() -> crate::Result<()> {
        let sent = ManualClock::new().now();
        let deadline = deadline(sent, Ttl::new(Duration::from_secs(30))?);
        assert_eq!(deadline.since(sent), Duration::from_millis(29_698));
        Ok(())
    }
}
