//! Draws units, in a task that outlives its callers.

use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::Inner;
use super::slot::{Drawn, LastDraw, Refusal, Slot, Unused};
use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::ratelimit::{Decision, RetryAfter};

/// One draw, the only one of its subject.
pub(super) struct Draw {
    pub(super) inner: Arc<Inner>,
    pub(super) subject: Key,
    pub(super) slot: Arc<Slot>,
    /// Of the caller, whose call the draw decides on.
    pub(super) cost: u64,
    pub(super) turn: OwnedMutexGuard<LastDraw>,
}

impl Draw {
    /// Draws and decides. Cancel safe: without its caller all units are for the calls to come.
    pub(super) async fn decide(self) -> Result<Decision> {
        let (caller, decision) = oneshot::channel();
        tokio::spawn(self.run(caller));
        decision.await.unwrap_or_else(|_gone| {
            let abandoned = "draw was abandoned: its task ended before it";
            Err(Error::new(ErrorKind::Unknown, abandoned))
        })
    }

    async fn run(mut self, caller: oneshot::Sender<Result<Decision>>) {
        let answer = self.ask(&caller).await;
        self.turn.note(&answer, self.inner.limiter.clock.now());
        // A caller that goes just now leaves its units used.
        let _is_gone = caller.send(answer);
    }

    async fn ask(&self, caller: &oneshot::Sender<Result<Decision>>) -> Result<Decision> {
        let (inner, cost) = (&*self.inner, self.cost);
        if let Some(unused) = self.slot.clear() {
            // Best effort: what is not given back counts as used.
            inner.returns.give_back(&self.subject, unused).await;
        }
        // For a lease, else for what is left, else for this call alone.
        let is_ahead = cost > 0 && inner.returns.has_room_for(&self.slot);
        let mut wanted = if is_ahead {
            inner.portion.max(cost)
        } else {
            cost
        };
        let mut has_asked_for_the_rest = false;
        loop {
            let sent = inner.limiter.clock.now();
            let call = inner.limiter.call_on(&self.subject).cost(wanted);
            let decision = call.take().await?;
            let left = decision.remaining();
            if decision.is_allowed() {
                let is_used = !caller.is_closed();
                inner.allowed.increment(u64::from(is_used));
                let rest = if is_used { wanted - cost } else { wanted };
                let ends = sent.after(inner.lease);
                self.keep(rest, ends, Drawn::new(&decision, sent)).await;
                return Ok(decision.of_a_part(cost, wanted - cost));
            }
            if wanted == cost {
                if let Some(RetryAfter::After(wait)) = decision.retry_after() {
                    let refusal = self.refusal(sent.after(wait));
                    self.slot.refuse(refusal, Drawn::new(&decision, sent));
                }
                inner.denied.increment(1);
                return Ok(decision);
            }
            let has_asked = std::mem::replace(&mut has_asked_for_the_rest, true);
            wanted = if !has_asked && left > cost {
                left.min(wanted)
            } else {
                cost
            };
        }
    }

    /// Held to for a lease at most: what others give back, or a reset, is seen within one.
    fn refusal(&self, fits_at: Moment) -> Refusal {
        let next_look = self.inner.limiter.clock.now().after(self.inner.lease);
        Refusal {
            cost: self.cost,
            fits_at,
            until: fits_at.min(next_look),
        }
    }

    /// Keeps a portion for the calls to come, unless it came too late to be used.
    async fn keep(&self, units: u64, ends: Moment, drawn: Drawn) {
        let (inner, returns) = (&*self.inner, &self.inner.returns);
        let is_late = inner.limiter.clock.now() >= ends;
        let kept = if is_late { 0 } else { units.min(inner.portion) };
        if kept > 0 {
            self.slot.fill(kept, ends, drawn);
            returns.after(ends, &self.subject, &self.slot);
        }
        if units > kept {
            let (units, at) = (units - kept, drawn.at);
            let unused = Unused { units, at };
            returns.give_back(&self.subject, unused).await;
        }
    }
}
