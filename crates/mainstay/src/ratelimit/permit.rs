//! Permits of concurrent calls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Decision;
use super::limiter::Shared;
use crate::backend::{Charge, Demand, Rule};
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
    is_lost: AtomicBool,
}

impl Permit {
    /// May be out from now on.
    pub(super) fn claimed(limiter: Arc<Shared>, demands: &[Demand], lease: Duration) -> Self {
        let demands = demands
            .iter()
            .filter(|it| matches!(it.rule, Rule::Concurrent(_)));
        let out = Out {
            demands: demands.cloned().collect(),
            limiter,
            lease,
            is_lost: AtomicBool::new(false),
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
        self.out.is_lost.store(true, Ordering::Release);
    }

    /// What was decided when it was given.
    pub fn decision(&self) -> &Decision {
        self.decision.as_ref().expect("invariant: it was entered")
    }

    /// Whether the store has said that it ended: it was not renewed in time, or reset.
    pub fn is_lost(&self) -> bool {
        self.out.is_lost.load(Ordering::Acquire)
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
        self.out.is_lost.store(true, Ordering::Release);
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
}

/// Until the permit is lost, or given back.
async fn renew(out: Arc<Out>) {
    let clock = &out.limiter.clock;
    let third = out.lease / 3;
    let mut pause = third;
    loop {
        clock.sleep_until(clock.now().after(pause)).await;
        match out.limiter.store.take(&out.demands, Charge::Yes).await {
            Ok(takes) if takes.iter().all(|take| take.admitted) => pause = third,
            Ok(_) => {
                out.is_lost.store(true, Ordering::Release);
                tracing::warn!("permit lost: it was not renewed in time, and others are in");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "permit not renewed: trying again");
                pause = third / 10;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.stop();
        if self.is_lost() {
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
