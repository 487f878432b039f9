//! Calls that take permits.

use std::sync::Arc;
use std::time::Duration;

use super::Call;
use crate::backend::{Charge, Demand};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::random;
use crate::ratelimit::permit::{Entry, Permit};
use crate::ratelimit::{PermitAttempt, PermitLease};

impl Call<'_> {
    /// Takes a permit of each policy of [concurrent](crate::ratelimit::Policy::concurrent) calls, and charges the
    /// others, if all fit.
    ///
    /// Cancel safe for the permits: those that a dropped call has taken are given back in the background,
    /// or end with their lease. What it has charged to other policies stays charged.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{Entry, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let exports = stay.limiter(Policy::concurrent("export", 1, Duration::from_secs(30))?);
    /// let Entry::Entered(permit) = exports.call("ada").enter().await? else {
    ///     panic!("nobody else is in");
    /// };
    /// assert!(matches!(exports.call("ada").enter().await?, Entry::Denied(_)));
    /// permit.leave().await?;
    /// assert!(matches!(exports.call("ada").enter().await?, Entry::Entered(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Invalid`](crate::ErrorKind::Invalid), too, when no policy gives permits, for a cost of 0
    /// and with a token.
    pub async fn enter(self) -> Result<Entry> {
        let lease = self.permit_lease()?;
        let demands = self.demands(&random::token())?;
        let permit = Permit::claimed(Arc::clone(&self.limiter), &demands, lease);
        let decision = self.decide(&demands).await?;
        if decision.is_allowed() {
            return Ok(Entry::Entered(permit.entered(decision)));
        }
        permit.forget();
        Ok(Entry::Denied(decision))
    }

    /// As [`enter`](Self::enter), but the permit is known by a token, and nobody renews it: for one that
    /// is kept by another program.
    ///
    /// A dropped call may have taken a permit, which then ends with its lease.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::ratelimit::{PermitAttempt, Policy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let exports = stay.limiter(Policy::concurrent("export", 1, Duration::from_secs(30))?);
    /// let PermitAttempt::Leased(lease) = exports.call("ada").lease().await? else {
    ///     panic!("nobody else is in");
    /// };
    /// assert!(exports.call("ada").renew(&lease.token).await?.is_some());
    /// assert!(exports.call("ada").leave(&lease.token).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub async fn lease(self) -> Result<PermitAttempt> {
        let lease = self.permit_lease()?;
        let token = random::token();
        let demands = self.demands(&token)?;
        let sent = self.limiter.clock.now();
        let decision = self.decide(&demands).await?;
        if !decision.is_allowed() {
            return Ok(PermitAttempt::Denied(decision));
        }
        Ok(PermitAttempt::Leased(PermitLease {
            token,
            expires_in: self.left_of(lease, sent),
            decision,
        }))
    }

    /// Begins the lease of a permit anew; how long it is surely out, or `None` when it has ended: what it
    /// was for must stop, others may be in.
    ///
    /// Cancel safe: it is harmless to repeat.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when no policy gives permits, and for a token that is no key;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when the backend does
    /// not answer.
    pub async fn renew(self, token: &str) -> Result<Option<Duration>> {
        let lease = self.permit_lease()?;
        let permits = self.permits(token)?;
        let sent = self.limiter.clock.now();
        let takes = self.limiter.store.take(&permits, Charge::Renew).await?;
        let is_out = takes.iter().all(|take| take.admitted);
        Ok(is_out.then(|| self.left_of(lease, sent)))
    }

    /// Gives a permit back; whether it was still out.
    ///
    /// Cancel safe: it is harmless to repeat.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    pub async fn leave(self, token: &str) -> Result<bool> {
        self.permit_lease()?;
        let permits = self.permits(token)?;
        let left = self.limiter.store.refund(&permits, Duration::ZERO).await?;
        Ok(left > 0)
    }

    /// The shortest lease of the permits that the call is about.
    fn permit_lease(&self) -> Result<Duration> {
        if !matches!(self.token, Ok(None)) {
            return Err(Error::invalid("a call that enters has no token"));
        }
        if self.cost.is_zero() {
            return Err(Error::invalid("a permit of cost 0 would be none"));
        }
        self.limiter
            .shortest_lease()
            .ok_or_else(|| Error::invalid("no policy gives permits: check, do not enter"))
    }

    /// The demands of the policies that give permits.
    fn permits(&self, token: &str) -> Result<Vec<Demand>> {
        let token = Key::new(token)?;
        let mut demands = self.demands(token.as_str())?;
        demands.retain(|demand| demand.permit.is_some());
        Ok(demands)
    }

    fn left_of(&self, lease: Duration, sent: Moment) -> Duration {
        lease.saturating_sub(self.limiter.clock.now().since(sent))
    }
}
