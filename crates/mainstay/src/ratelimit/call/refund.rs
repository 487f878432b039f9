//! Calls that give back what was taken.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::Call;
use super::cost::Cost;
use crate::error::{Error, Result};
use crate::ratelimit::{Decision, Source};

impl Call<'_> {
    /// Gives back what an allowed call has taken, or as much of it as the [`cost`](Self::cost) says;
    /// whether anything was given back.
    ///
    /// Cancel safe in memory; on a server a dropped call may have taken effect.
    ///
    /// # Errors
    /// As [`Limiter::refund`](crate::ratelimit::Limiter::refund).
    pub async fn refund(self, decision: &Decision) -> Result<bool> {
        // What was decided without the store was not charged there.
        let is_charged = decision.is_allowed() && decision.source() != Source::Fallback;
        if !is_charged || decision.cost() == 0 {
            return Ok(false);
        }
        let quotas = decision.quotas();
        let costs = quotas.iter().enumerate().map(|(index, quota)| {
            let asked = self.cost.of(index).unwrap_or(u64::MAX);
            Some(asked.min(quota.cost))
        });
        let cost = Cost::Each(costs.collect());
        let times: Vec<_> = quotas.iter().map(|quota| quota.decided_at).collect();
        let call = Self { cost, ..self };
        call.refund_of_each(&times).await
    }

    /// Gives back the [`cost`](Self::cost) of a call that was decided at this time, for who has not kept
    /// the [`Decision`]; whether anything was given back.
    ///
    /// # Errors
    /// As [`Limiter::refund`](crate::ratelimit::Limiter::refund).
    pub async fn refund_of(self, decided_at: Duration) -> Result<bool> {
        let times = vec![decided_at; self.limiter.policies.len()];
        self.refund_of_each(&times).await
    }

    /// As [`refund_of`](Self::refund_of), with a time for each policy: several nodes of a Cluster have
    /// decided by their own clocks.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), too, unless there is a time for each policy.
    pub async fn refund_of_each(self, decided_at: &[Duration]) -> Result<bool> {
        let demands = self.demands("")?;
        if decided_at.len() != demands.len() {
            return Err(Error::invalid(format!(
                "{} times of a decision were named for {} policies: it takes one for each",
                decided_at.len(),
                demands.len()
            )));
        }
        let mut by_time = BTreeMap::<_, Vec<_>>::new();
        for (demand, at) in demands.iter().zip(decided_at) {
            by_time.entry(*at).or_default().push(demand.clone());
        }
        let store = &self.limiter.store;
        let refunds = by_time.iter().map(|(at, taken)| store.refund(taken, *at));
        let refunds = join_all(refunds).await;
        self.limiter.forget_denials_of(&demands);
        let refunded: Result<Vec<_>> = refunds.into_iter().collect();
        Ok(refunded?.iter().any(|count| *count > 0))
    }
}
