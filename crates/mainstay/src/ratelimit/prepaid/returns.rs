//! Gives back what was drawn and not used.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;

use super::slot::Slot;
use crate::backend::unpoisoned::lock;
use crate::clock::Moment;
use crate::key::Key;
use crate::ratelimit::limiter::Shared;

/// Leases in the order of their ends, and a task while there are any.
pub(super) struct Returns {
    limiter: Arc<Shared>,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    leases: VecDeque<(Moment, Key, Arc<Slot>)>,
    is_running: bool,
}

impl Returns {
    pub(super) fn new(limiter: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            limiter,
            pending: Mutex::default(),
        })
    }

    /// Looks at a slot when its lease ends.
    pub(super) fn after(self: &Arc<Self>, ends: Moment, subject: &Key, slot: &Arc<Slot>) {
        let mut pending = lock(&self.pending);
        let lease = (ends, subject.clone(), Arc::clone(slot));
        pending.leases.push_back(lease);
        if !std::mem::replace(&mut pending.is_running, true) {
            tokio::spawn(run(Arc::clone(self)));
        }
    }

    /// Gives units back as far as the store answers.
    pub(super) async fn give_back(&self, subject: &Key, units: u64, at: Duration) {
        let call = self.limiter.call_on(subject);
        if let Err(error) = call.cost(units).refund_of(at).await {
            tracing::debug!(%error, units, "prepaid units not given back: they count as used");
        }
    }

    /// Gives all back in the background, whether its lease has ended or not.
    pub(super) fn all_now(self: &Arc<Self>) {
        let leases = std::mem::take(&mut lock(&self.pending).leases);
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let this = Arc::clone(self);
        runtime.spawn(async move {
            for (_, subject, slot) in leases {
                if let Some((units, at)) = slot.clear() {
                    this.give_back(&subject, units, at).await;
                }
            }
        });
    }

    fn next(&self) -> Option<(Moment, Key, Arc<Slot>)> {
        let mut pending = lock(&self.pending);
        let next = pending.leases.pop_front();
        pending.is_running = next.is_some();
        next
    }
}

async fn run(returns: Arc<Returns>) {
    let clock = Arc::clone(&returns.limiter.clock);
    while let Some((ends, subject, slot)) = returns.next() {
        clock.sleep_until(ends).await;
        // A later draw may have taken its place, which has a turn of its own.
        if let Some((units, at)) = slot.clear_ended(clock.now()) {
            returns.give_back(&subject, units, at).await;
        }
    }
}
