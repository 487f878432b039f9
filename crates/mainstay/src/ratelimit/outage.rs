//! Decisions while the backend does not answer.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Policy, Source};
use crate::backend::unpoisoned::lock;
use crate::backend::{Charge, Demand, LimitStore, Take};
use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind, Result};

/// The backend is not asked for so long after it has failed; twice as long after each time more.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a call waits for a backend that it can do without.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is decided while the backend does not answer.
///
/// But for [`Fail`](Self::Fail) a call waits for at most 250 ms for it. Once it has failed, calls are
/// decided at once; from time to time one of them asks again, until one is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenDown {
    /// Nothing: the call fails.
    #[default]
    Fail,
    /// Everything is allowed.
    Open,
    /// Everything is denied.
    Closed,
    /// Each of so many processes allows its share of the limit, by its own memory. What the store has
    /// admitted just before is not known there: around the beginning up to twice the limit gets through.
    /// Of 100,000 subjects and more at a time, those are counted anew whose counts would be gone first.
    Local(NonZeroU32),
}

/// Decides in the place of a store that does not answer.
#[derive(Clone)]
pub(super) struct Outage {
    when_down: WhenDown,
    /// What each process may admit by itself.
    shares: Vec<Policy>,
    local: Arc<dyn LimitStore>,
    clock: Arc<dyn Clock>,
    breaker: Arc<Mutex<Breaker>>,
}

/// Whether the store is asked.
#[derive(Debug, Default)]
struct Breaker {
    /// Not before then; never open if nothing has failed.
    asks_at: Moment,
    pause: Duration,
    failed_at: Moment,
}

impl Outage {
    pub(super) fn new(
        when_down: WhenDown,
        policies: &[Policy],
        local: Arc<dyn LimitStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Ok(Self {
            when_down,
            shares: shares(when_down, policies)?,
            local,
            clock,
            breaker: Arc::default(),
        })
    }

    /// The same for these policies: what one learns of the store, the other knows.
    pub(super) fn over(&self, policies: &[Policy]) -> Result<Self> {
        Ok(Self {
            shares: shares(self.when_down, policies)?,
            ..self.clone()
        })
    }

    /// Asks the store, or decides without it.
    pub(super) async fn decide(
        &self,
        asking: impl Future<Output = Result<Vec<Take>>>,
        demands: &[Demand],
        charge: Charge<'_>,
    ) -> Result<(Vec<Take>, Source)> {
        if self.when_down == WhenDown::Fail {
            return asking.await.map(|takes| (takes, Source::Store));
        }
        let now = self.clock.now();
        if !self.may_ask(now) {
            return self.without(demands, charge, now).await;
        }
        let late = || Error::new(ErrorKind::Unavailable, "limit store did not answer in time");
        let answer = tokio::select! {
            answer = asking => answer,
            () = self.clock.sleep_until(now.after(PATIENCE)) => Err(late()),
        };
        match answer {
            Ok(takes) => {
                *lock(&self.breaker) = Breaker::default();
                Ok((takes, Source::Store))
            }
            Err(error) if is_outage(&error) => {
                self.failed(now, &error);
                self.without(demands, charge, self.clock.now()).await
            }
            Err(error) => Err(error),
        }
    }

    /// One call at a time asks a store that has failed.
    fn may_ask(&self, now: Moment) -> bool {
        let mut breaker = lock(&self.breaker);
        if now < breaker.asks_at {
            return false;
        }
        if !breaker.pause.is_zero() {
            breaker.asks_at = now.after(breaker.pause);
        }
        true
    }

    /// Of calls that were under way together, the first that fails says so for all.
    fn failed(&self, asked: Moment, error: &Error) {
        let now = self.clock.now();
        let mut breaker = lock(&self.breaker);
        if asked < breaker.failed_at {
            return;
        }
        breaker.failed_at = now;
        if breaker.pause.is_zero() {
            tracing::warn!(%error, when_down = ?self.when_down, "limits are decided without the backend");
        }
        breaker.pause = (breaker.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        breaker.asks_at = now.after(breaker.pause);
    }

    async fn without(
        &self,
        demands: &[Demand],
        charge: Charge<'_>,
        now: Moment,
    ) -> Result<(Vec<Take>, Source)> {
        let at = self.clock.unix();
        let takes = match self.when_down {
            WhenDown::Local(_) => {
                let asks_in = lock(&self.breaker).asks_at.since(now);
                let costs = demands.iter().map(|it| (it.cost, it.rule.limit()));
                let costs: Vec<_> = costs.collect();
                let both = demands.iter().zip(&self.shares);
                let demands: Vec<_> = both
                    .map(|(demand, share)| Demand {
                        rule: share.rule().clone(),
                        ..demand.clone()
                    })
                    .collect();
                let takes = self.local.take(&demands, charge).await?;
                let both = takes.into_iter().zip(&costs);
                both.map(|(take, (cost, limit))| Take {
                    // More than a share may fit when the store is back.
                    retry_after: take
                        .retry_after
                        .or((!take.admitted && cost <= limit).then_some(asks_in)),
                    ..take
                })
                .collect()
            }
            when_down => {
                let wait = lock(&self.breaker).asks_at.since(now);
                let admitted = when_down == WhenDown::Open;
                let each = demands.iter();
                each.map(|demand| Take {
                    admitted,
                    remaining: if admitted { demand.rule.limit() } else { 0 },
                    retry_after: (!admitted).then_some(wait),
                    reset_after: wait,
                    at,
                })
                .collect()
            }
        };
        Ok((takes, Source::Fallback))
    }
}

/// What each process may admit of each policy.
fn shares(when_down: WhenDown, policies: &[Policy]) -> Result<Vec<Policy>> {
    let permits = policies.iter().find(|policy| policy.is_concurrent());
    if let (Some(policy), true) = (permits, when_down != WhenDown::Fail) {
        return Err(Error::invalid(format!(
            "policy {policy} gives permits, which only the store can"
        )));
    }
    match when_down {
        WhenDown::Local(nodes) => policies.iter().map(|it| it.share(nodes)).collect(),
        _ => Ok(policies.to_vec()),
    }
}

/// A server that has no memory left, say, refuses what it is sent.
fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Unknown | ErrorKind::Refused
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory;
    use crate::clock::ManualClock;

    #[test]
    fn calls_that_fail_together_count_once() {
        let clock = ManualClock::new();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let local = memory::limits(Arc::clone(&shared), 1);
        let outage = Outage::new(WhenDown::Open, &[], local, shared).unwrap();
        let error = Error::new(ErrorKind::Unavailable, "it is away");
        let fails_once_more = |calls: u32| {
            let asked = clock.now();
            clock.advance(PATIENCE);
            for _ in 0..calls {
                outage.failed(asked, &error);
            }
        };
        let asks_after = |pause: Duration| {
            clock.advance(pause.saturating_sub(Duration::from_millis(1)));
            assert!(!outage.may_ask(clock.now()), "before {pause:?}");
            clock.advance(Duration::from_millis(1));
            assert!(outage.may_ask(clock.now()), "after {pause:?}");
        };
        fails_once_more(64);
        asks_after(FIRST_PAUSE);
        fails_once_more(1);
        asks_after(2 * FIRST_PAUSE);
    }
}
