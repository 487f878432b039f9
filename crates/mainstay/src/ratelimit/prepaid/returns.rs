//! Gives back what was drawn and not used.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use metrics::Counter;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::slot::{Rest, Slot, Unused};
use crate::backend::unpoisoned::lock;
use crate::clock::Moment;
use crate::key::Key;
use crate::ratelimit::limiter::Shared;

/// Subjects whose units are on their way back at the same time.
const AT_ONCE: usize = 32;

/// The longest that the task sleeps.
const LONGEST: Duration = Duration::from_secs(10);

/// An outage is over when nothing has failed for so long.
const OUTAGE_ENDS: Duration = Duration::from_secs(10);

/// Leases by their ends, one a slot, and a task while there are any.
pub(super) struct Returns {
    limiter: Arc<Shared>,
    /// Slots that it takes.
    room: usize,
    lost: Counter,
    state: Mutex<State>,
    /// Something is due before the task wakes.
    earlier: Notify,
}

#[derive(Default)]
struct State {
    next_id: u64,
    due: BTreeMap<(Moment, u64), (Key, Arc<Slot>)>,
    task: Option<JoinHandle<()>>,
    /// When the task looks by itself.
    wakes: Moment,
    /// Nobody uses the units any more.
    is_closing: bool,
    outage: Outage,
}

/// When the store has failed last, until it has answered for a while.
#[derive(Default)]
struct Outage(Option<Moment>);

/// Units on their way back; lost unless the store has answered.
struct Owed<'a> {
    units: u64,
    lost: &'a Counter,
}

enum Step {
    GiveBack(Key, Unused),
    Wait(Moment),
    Done,
}

impl Returns {
    pub(super) fn new(limiter: Arc<Shared>, room: usize, lost: Counter) -> Arc<Self> {
        Arc::new(Self {
            limiter,
            room,
            lost,
            state: Mutex::default(),
            earlier: Notify::new(),
        })
    }

    /// Whether it can take one more lease of a slot, give or take those that are drawn just now.
    pub(super) fn has_room_for(&self, slot: &Slot) -> bool {
        let state = lock(&self.state);
        slot.is_awaited.load(Ordering::Relaxed) || state.due.len() < self.room
    }

    /// Looks at a slot when its lease ends.
    pub(super) fn after(self: &Arc<Self>, ends: Moment, subject: &Key, slot: &Arc<Slot>) {
        let mut state = lock(&self.state);
        // The one that is there finds the later lease.
        if !slot.is_awaited.swap(true, Ordering::Relaxed) {
            state.insert(ends, subject.clone(), Arc::clone(slot));
        }
        if !state.is_running() {
            state.start(&Handle::current(), self);
        } else if ends < state.wakes {
            self.earlier.notify_one();
        }
    }

    /// Gives units back as far as the store answers.
    pub(super) async fn give_back(&self, subject: &Key, unused: Unused) {
        let Unused { units, at } = unused;
        let lost = &self.lost;
        let mut owed = Owed { units, lost };
        let call = self.limiter.call_on(subject);
        let answer = call.cost(units).refund_of(at).await;
        let now = self.limiter.clock.now();
        let begins_outage = lock(&self.state).outage.begins(answer.is_err(), now);
        match answer {
            Ok(_) => owed.units = 0,
            Err(error) if begins_outage => {
                tracing::warn!(%error, units, "prepaid units not given back: they count as used");
            }
            Err(error) => tracing::debug!(%error, units, "prepaid units not given back"),
        }
    }

    /// Gives all back in the background, whether its lease has ended or not.
    pub(super) fn all_now(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.is_closing = true;
        if state.is_running() {
            self.earlier.notify_one();
        } else if let (false, Ok(runtime)) = (state.due.is_empty(), Handle::try_current()) {
            state.start(&runtime, self);
        }
    }

    fn next_step(&self, is_idle: bool) -> Step {
        let now = self.limiter.clock.now();
        let mut state = lock(&self.state);
        while let Some((subject, slot)) = state.pop_due(now) {
            let rest = if state.is_closing {
                slot.clear().map_or(Rest::Nothing, Rest::Unused)
            } else {
                slot.end(now)
            };
            if let Rest::Until(ends) = rest {
                state.insert(ends, subject, slot);
                continue;
            }
            slot.is_awaited.store(false, Ordering::Relaxed);
            if let Rest::Unused(unused) = rest {
                return Step::GiveBack(subject, unused);
            }
        }
        let first = state.due.first_key_value();
        let first = first.map(|((ends, _), _)| *ends);
        if first.is_none() && is_idle {
            state.task = None;
            return Step::Done;
        }
        state.wakes = first.unwrap_or_else(|| now.after(LONGEST));
        Step::Wait(state.wakes)
    }
}

impl Outage {
    /// One node of several may fail while the others answer.
    fn begins(&mut self, has_failed: bool, now: Moment) -> bool {
        if has_failed {
            return self.0.replace(now).is_none();
        }
        self.0 = self.0.filter(|failed| now.since(*failed) < OUTAGE_ENDS);
        false
    }
}

impl State {
    fn insert(&mut self, ends: Moment, subject: Key, slot: Arc<Slot>) {
        self.due.insert((ends, self.next_id), (subject, slot));
        self.next_id = self.next_id.wrapping_add(1);
    }

    fn pop_due(&mut self, now: Moment) -> Option<(Key, Arc<Slot>)> {
        let first = self.due.first_entry()?;
        let (ends, _) = *first.key();
        (ends <= now || self.is_closing).then(|| first.remove())
    }

    /// A task ends with its runtime, too.
    fn is_running(&self) -> bool {
        let task = self.task.as_ref();
        task.is_some_and(|task| !task.is_finished())
    }

    fn start(&mut self, runtime: &Handle, returns: &Arc<Returns>) {
        self.wakes = Moment::default();
        self.task = Some(runtime.spawn(run(Arc::clone(returns))));
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if self.units > 0 {
            self.lost.increment(self.units);
        }
    }
}

impl Drop for Returns {
    fn drop(&mut self) {
        // No runtime is left to give them back on.
        for (_, slot) in std::mem::take(&mut lock(&self.state).due).into_values() {
            let units = slot.clear().map_or(0, |unused| unused.units);
            let lost = &self.lost;
            drop(Owed { units, lost });
        }
    }
}

/// For as long as there are leases.
async fn run(returns: Arc<Returns>) {
    let mut calls = FuturesUnordered::new();
    loop {
        if calls.len() >= AT_ONCE {
            let _returned = calls.next().await;
            continue;
        }
        match returns.next_step(calls.is_empty()) {
            Step::GiveBack(subject, unused) => {
                let returns = &returns;
                calls.push(async move { returns.give_back(&subject, unused).await });
            }
            Step::Wait(until) => tokio::select! {
                biased;
                Some(()) = calls.next() => {}
                () = returns.earlier.notified() => {}
                () = returns.limiter.clock.sleep_until(until) => {}
            },
            Step::Done => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_once_though_some_nodes_answer() {
        let mut outage = Outage::default();
        let start = Moment::default();
        let mut begins = |has_failed, second| {
            outage.begins(has_failed, start.after(Duration::from_secs(second)))
        };
        let answers = [
            (false, 0),
            (true, 1),
            (false, 2),
            (true, 10),
            (false, 19),
            (true, 20),
        ];
        let begun = answers.map(|(has_failed, second)| begins(has_failed, second));
        assert_eq!(begun, [false, true, false, false, false, false]);
        assert!(!begins(false, 30) && begins(true, 31));
    }
}
