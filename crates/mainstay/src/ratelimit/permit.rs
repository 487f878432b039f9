//! Permits of concurrent calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Decision;
use super::limiter::Shared;
use crate::backend::{Charge, Demand, Rule, Take};
use crate::clock::Moment;
use crate::error::Result;

/// Whether a call was let in.
#[derive(Debug)]
#[must_use = "a dropped permit is given back"]
pub enum Entry {
    /// It was, for as long as it keeps the permit.
    Entered(Permit),
    /// It was not, and nothing was charged.
    Denied(Decision),
}

/// A permit of a concurrent call: renewed every third of its lease, given back when dropped.
///
/// A process that dies holds it until the lease ends. One that could not renew it for so long has
/// lost it, and another may be in.
#[must_use = "a dropped permit is given back"]
pub struct Permit {
    out: Arc<Out>,
    renewal: Option<JoinHandle<()>>,
    decision: Option<Decision>,
}

struct Out {
    limiter: Arc<Shared>,
    /// Of the policies that give permits.
    demands: Vec<Demand>,
    lease: Duration,
    tenure: watch::Sender<Tenure>,
}

/// What is known of a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tenure {
    /// Surely out until then.
    Until(Moment),
    /// The store has said that it is not, or it was given back.
    Ended,
}

impl Permit {
    /// May be out from now on.
    pub(super) fn claimed(limiter: Arc<Shared>, demands: &[Demand], lease: Duration) -> Self {
        let demands = demands
            .iter()
            .filter(|it| matches!(it.rule, Rule::Concurrent(_)));
        let ends = limiter.clock.now().after(lease);
        let out = Out {
            demands: demands.cloned().collect(),
            limiter,
            lease,
            tenure: watch::Sender::new(Tenure::Until(ends)),
        };
        Self {
            out: Arc::new(out),
            renewal: None,
            decision: None,
        }
    }

    /// Is out.
    pub(super) fn entered(mut self, decision: Decision) -> Self {
        self.decision = Some(decision);
        self.renewal = Some(tokio::spawn(renew(Arc::clone(&self.out))));
        self
    }

    /// Is not out.
    pub(super) fn forget(self) {
        self.out.tenure.send_replace(Tenure::Ended);
    }

    /// What was decided when it was given.
    pub fn decision(&self) -> &Decision {
        self.decision.as_ref().expect("invariant: it was entered")
    }

    /// Whether another may be in: the permit could not be renewed for as long as its lease, or the store
    /// has said that it ended.
    pub fn is_lost(&self) -> bool {
        match *self.out.tenure.borrow() {
            Tenure::Until(ends) => self.out.limiter.clock.now() >= ends,
            Tenure::Ended => true,
        }
    }

    /// Completes when it [is lost](Self::is_lost). Cancel safe.
    pub async fn lost(&self) {
        let mut tenure = self.out.tenure.subscribe();
        loop {
            let Tenure::Until(ends) = *tenure.borrow_and_update() else {
                return;
            };
            tokio::select! {
                _ = tenure.changed() => {}
                () = self.out.limiter.clock.sleep_until(ends) => return,
            }
        }
    }

    /// Gives it back; whether it was still out.
    ///
    /// Cancel safe: a dropped call gives it back in the background.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer: it is tried once more in the background, and ends with its lease.
    pub async fn leave(mut self) -> Result<bool> {
        self.stop();
        let left = self.out.give_back().await?;
        self.out.tenure.send_replace(Tenure::Ended);
        Ok(left)
    }

    fn stop(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
    }
}

impl Out {
    async fn give_back(&self) -> Result<bool> {
        let store = &self.limiter.store;
        Ok(store.refund(&self.demands, Duration::ZERO).await? > 0)
    }

    async fn give_back_in_time(&self) {
        match timeout(self.limiter.command_timeout, self.give_back()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "permit not given back: its lease will end");
            }
            Err(_elapsed) => tracing::warn!("permit not given back in time: its lease will end"),
        }
    }

    fn count_loss(&self, why: &'static str) {
        tracing::warn!(why, "permit lost: others may be in");
        let given = self.limiter.policies.iter().zip(&self.limiter.labels);
        for (_, label) in given.filter(|(policy, _)| policy.is_concurrent()) {
            counter!("mainstay_limit_permits_lost_total", "policy" => label.clone()).increment(1);
        }
    }
}

/// Until the permit is lost, or given back.
async fn renew(out: Arc<Out>) {
    let clock = &out.limiter.clock;
    let third = out.lease / 3;
    let mut pause = third;
    loop {
        let Tenure::Until(ends) = *out.tenure.borrow() else {
            return;
        };
        clock.sleep_until(clock.now().after(pause).min(ends)).await;
        let sent = clock.now();
        let renewal = async {
            tokio::select! {
                answer = out.limiter.store.take(&out.demands, Charge::Renew) => Some(answer),
                () = clock.sleep_until(ends) => None,
            }
        };
        match renewal.await {
            Some(Ok(takes)) if takes.iter().all(|take: &Take| take.admitted) => {
                out.tenure
                    .send_replace(Tenure::Until(sent.after(out.lease)));
                pause = third;
            }
            Some(Ok(_)) => {
                out.tenure.send_replace(Tenure::Ended);
                out.count_loss("the store has ended it");
                return;
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "permit not renewed: trying again");
                pause = third / 10;
            }
            None => {
                out.count_loss("it could not be renewed in time");
                return;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.stop();
        if *self.out.tenure.borrow() == Tenure::Ended {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            tracing::debug!("no runtime to give a permit back on: its lease will end");
            return;
        };
        let out = Arc::clone(&self.out);
        runtime.spawn(async move { out.give_back_in_time().await });
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}
