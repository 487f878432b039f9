//! Permits by token, for those who keep them elsewhere.

use std::time::Duration;

use super::Decision;

/// Whether a call was let in; of [`Call::lease`](super::Call::lease).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum PermitAttempt {
    /// It was, until the lease ends.
    Leased(PermitLease),
    /// It was not, and nothing was charged.
    Denied(Decision),
}

/// A permit that nobody renews by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermitLease {
    /// Names the permit when it is renewed or given back.
    pub token: String,
    /// How long it is surely out.
    pub expires_in: Duration,
    /// What was decided.
    pub decision: Decision,
}
