//! Extends the leases of all guards, several with one call, until they are gone or lost.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::attempt::Taken;
use super::handle::Shared;
use super::{metrics, validity};
use crate::backend::unpoisoned::lock;
use crate::backend::{LockLease, LockStore, Renewal};
use crate::clock::{Clock, Moment};
use crate::error::Result;

/// Longest pause before a failed renewal is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// A lease is renewed so much early if another is renewed now.
const TOGETHER: Duration = Duration::from_millis(25);

/// The longest that the task sleeps, and so stays when nothing is held any more.
const IDLE: Duration = Duration::from_secs(10);

/// Leases that are renewed with one call of the store.
const AT_ONCE: usize = 1_024;

/// What a guard knows of its lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenure {
    pub(super) deadline: Moment,
    pub(super) lost: bool,
}

/// Renews every lease each third of its ttl. A lock is lost when the store says so, and at the
/// deadline whatever the store says or does not say.
pub(crate) struct Keeper {
    pub(super) store: Arc<dyn LockStore>,
    pub(super) clock: Arc<dyn Clock>,
    state: Mutex<State>,
    earlier: Arc<Notify>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    leases: HashMap<u64, Kept>,
    due: BTreeSet<(Moment, u64)>,
    task: Option<JoinHandle<()>>,
    /// When the task looks by itself.
    wakes: Moment,
    /// Whether nothing was held when the task looked last.
    is_idle: bool,
}

struct Kept {
    lock: Arc<Shared>,
    owner: String,
    tenure: watch::Sender<Tenure>,
    /// When it is looked at next: to renew it, or to give it up while a renewal is not answered.
    due: Moment,
    is_asked: bool,
}

/// A lease that is renewed until this is dropped.
pub(super) struct Keeping {
    keeper: Arc<Keeper>,
    id: u64,
}

enum Step {
    Renew(Vec<Asked>),
    Wait(Moment),
    Done,
}

/// A renewal under way.
struct Asked {
    id: u64,
    lock: Arc<Shared>,
    owner: String,
}

struct Answered {
    sent: Moment,
    answers: Vec<(Asked, Result<Renewal>)>,
}

impl Keeper {
    pub(crate) fn new(store: Arc<dyn LockStore>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            state: Mutex::default(),
            earlier: Arc::default(),
        })
    }

    pub(super) fn keep(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        taken: &Taken,
    ) -> (Keeping, watch::Receiver<Tenure>) {
        let (tenure, known) = watch::channel(Tenure {
            deadline: taken.deadline,
            lost: false,
        });
        let mut state = lock(&self.state);
        let id = state.next_id;
        state.next_id = id.wrapping_add(1);
        let due = self.clock.now().after(third(shared)).min(taken.deadline);
        state.due.insert((due, id));
        let kept = Kept {
            lock: Arc::clone(shared),
            owner: taken.owner.clone(),
            tenure,
            due,
            is_asked: false,
        };
        state.leases.insert(id, kept);
        metrics::holds_one_more();
        if state.task.as_ref().is_none_or(JoinHandle::is_finished) {
            let (clock, earlier) = (Arc::clone(&self.clock), Arc::clone(&self.earlier));
            state.wakes = Moment::default();
            state.is_idle = false;
            state.task = Some(tokio::spawn(run(Arc::downgrade(self), clock, earlier)));
        } else if due < state.wakes {
            self.earlier.notify_one();
        }
        let keeper = Arc::clone(self);
        (Keeping { keeper, id }, known)
    }

    fn next_step(&self) -> Step {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let soon = now.after(TOGETHER);
        let due = state.due.iter().take_while(|(due, _)| *due <= soon);
        let due: Vec<_> = due.map(|(_, id)| *id).collect();
        // One that is due calls for the others.
        let is_time = state.due.first().is_some_and(|(due, _)| *due <= now);
        let mut asked = Vec::new();
        for id in due.into_iter().filter(|_| is_time) {
            let Some(kept) = state.leases.get_mut(&id) else {
                continue;
            };
            let deadline = kept.tenure.borrow().deadline;
            if now >= deadline {
                state.lose(id);
            } else if !kept.is_asked && asked.len() < AT_ONCE {
                kept.is_asked = true;
                asked.push(Asked {
                    id,
                    lock: Arc::clone(&kept.lock),
                    owner: kept.owner.clone(),
                });
                state.look_again(id, deadline);
            }
        }
        if !asked.is_empty() {
            return Step::Renew(asked);
        }
        let first = state.due.first().map(|(due, _)| *due);
        // Who has released a lock at once may take it again as soon.
        if std::mem::replace(&mut state.is_idle, first.is_none()) && first.is_none() {
            state.task = None;
            return Step::Done;
        }
        let longest = now.after(IDLE);
        state.wakes = first.map_or(longest, |due| due.min(longest));
        Step::Wait(state.wakes)
    }

    async fn renew(self: Arc<Self>, asked: Vec<Asked>) -> Answered {
        let leases = asked.iter().map(|it| LockLease {
            key: &it.lock.key,
            owner: &it.owner,
            ttl: it.lock.ttl,
        });
        let leases: Vec<_> = leases.collect();
        let sent = self.clock.now();
        let answers = self.store.renew(&leases).await;
        Answered {
            sent,
            answers: asked.into_iter().zip(answers).collect(),
        }
    }

    fn settle(&self, Answered { sent, answers }: Answered) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let (mut failed, mut failure) = (0_u32, None);
        for (Asked { id, lock, .. }, answer) in answers {
            let Some(kept) = state.leases.get_mut(&id) else {
                continue;
            };
            kept.is_asked = false;
            let deadline = kept.tenure.borrow().deadline;
            match answer {
                Ok(Renewal::NotHeld) => state.lose(id),
                _ if now >= deadline => state.lose(id),
                Ok(Renewal::Renewed { .. }) => {
                    let deadline = validity::deadline(sent, lock.ttl);
                    kept.tenure.send_modify(|tenure| tenure.deadline = deadline);
                    state.look_again(id, sent.after(third(&lock)).max(now));
                }
                Err(error) => {
                    failed += 1;
                    failure = Some((lock.name.clone(), error));
                    let pause = (third(&lock) / 10).min(RETRY_EVERY);
                    state.look_again(id, now.after(pause).min(deadline));
                }
            }
        }
        if let Some((name, error)) = failure {
            tracing::warn!(locks = failed, lock = %name, %error, "locks not renewed: trying again");
        }
    }
}

/// For as long as there are leases, and a while longer: whoever takes and releases one lock after the
/// other does not start and end it each time.
async fn run(keeper: Weak<Keeper>, clock: Arc<dyn Clock>, earlier: Arc<Notify>) {
    let mut calls = FuturesUnordered::new();
    while let Some(keeping) = keeper.upgrade() {
        match keeping.next_step() {
            Step::Renew(asked) => calls.push(keeping.renew(asked)),
            Step::Wait(until) => {
                // Waiting keeps no connection open.
                drop(keeping);
                tokio::select! {
                    biased;
                    Some(answered) = calls.next() => {
                        if let Some(keeper) = keeper.upgrade() {
                            keeper.settle(answered);
                        }
                    }
                    () = earlier.notified() => {}
                    () = clock.sleep_until(until) => {}
                }
            }
            Step::Done => return,
        }
    }
}

impl State {
    fn look_again(&mut self, id: u64, due: Moment) {
        if let Some(kept) = self.leases.get_mut(&id) {
            self.due.remove(&(kept.due, id));
            self.due.insert((due, id));
            kept.due = due;
        }
    }

    fn lose(&mut self, id: u64) {
        if let Some(kept) = self.forget(id) {
            kept.tenure.send_modify(|tenure| tenure.lost = true);
            let name = &kept.lock.name;
            tracing::warn!(lock = %name, "lock lost");
            metrics::lost(name);
        }
    }

    fn forget(&mut self, id: u64) -> Option<Kept> {
        let kept = self.leases.remove(&id)?;
        self.due.remove(&(kept.due, id));
        metrics::holds_one_less();
        Some(kept)
    }
}

fn third(lock: &Shared) -> Duration {
    lock.ttl.as_duration() / 3
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let _ended = lock(&self.keeper.state).forget(self.id);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The task ends when it finds nobody.
        self.earlier.notify_one();
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("leases", &lock(&self.state).leases.len())
            .finish_non_exhaustive()
    }
}
