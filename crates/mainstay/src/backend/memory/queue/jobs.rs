//! One queue: where its jobs are.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::timed::Timed;
use crate::backend::{
    HeldJob, Letter, LetterRules, NewJob, Push, QueueView, Settled, Settlement, Taken, TakenJob,
    Verdict, Want,
};
use crate::ttl::Ttl;

/// What one call moves at most, as a script that the server waits for.
const AT_ONCE: usize = 100;
/// Bytes of content after which a call hands out no more.
const LARGE: usize = 4 << 20;

/// The time of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// On the clock that never goes back, in milliseconds.
    pub(super) ms: u64,
    /// Of the wall clock.
    pub(super) unix: Duration,
}

#[derive(Debug)]
struct Job {
    attempts: u32,
    /// Of the delivery under way.
    fence: Option<u64>,
    pushed: Duration,
    consumer: Arc<str>,
    due: u64,
    key: Arc<str>,
    content: Bytes,
}

/// The jobs of a queue; the scripts in `redis/lua/queue_*.lua` are the same algorithm.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) fence: Option<u64>,
    next_seq: u64,
    all: HashMap<Arc<str>, Job>,
    ready: VecDeque<Arc<str>>,
    in_flight: Timed,
    delayed: Timed,
    known: Timed,
    /// The first job of each key.
    heads: HashMap<Arc<str>, Arc<str>>,
    behind: BTreeMap<(Arc<str>, u64), Arc<str>>,
    died: Timed,
    letters: HashMap<Arc<str>, Letter>,
    idle: Timed,
    dropped: u64,
    /// Jobs that became ready in this call.
    ready_now: usize,
}

impl Jobs {
    pub(super) fn push(&mut self, now: Now, new: &[NewJob<'_>], most: u64) -> Vec<Push> {
        for id in self.known.due(now.ms, 2 * new.len() + 16) {
            self.known.remove(&id);
        }
        new.iter()
            .map(|job| self.push_one(now, job, most))
            .collect()
    }

    fn push_one(&mut self, now: Now, new: &NewJob<'_>, most: u64) -> Push {
        let is_known = self.known.get(new.id).is_some_and(|until| until > now.ms);
        if is_known || self.all.contains_key(new.id) {
            return Push::Known;
        }
        if self.all.len() as u64 >= most {
            return Push::Full;
        }
        let id: Arc<str> = new.id.into();
        self.known
            .insert(&id, now.ms.saturating_add(new.window.as_millis()));
        let due = now.ms.saturating_add(whole_millis(new.delay));
        let content = Bytes::copy_from_slice(new.content);
        self.admit(now, id, due, new.key.into(), content);
        Push::Added
    }

    fn admit(&mut self, now: Now, id: Arc<str>, due: u64, key: Arc<str>, content: Bytes) {
        let job = Job {
            attempts: 0,
            fence: None,
            pushed: millis_of(now.unix),
            consumer: "-".into(),
            due,
            key: Arc::clone(&key),
            content,
        };
        self.all.insert(Arc::clone(&id), job);
        if !key.is_empty() {
            if self.heads.contains_key(&key) {
                self.next_seq += 1;
                self.behind.insert((key, self.next_seq), id);
                return;
            }
            self.heads.insert(key, Arc::clone(&id));
        }
        self.line_up(now, id, due);
    }

    fn line_up(&mut self, now: Now, id: Arc<str>, due: u64) {
        if due > now.ms {
            self.delayed.insert(&id, due);
        } else {
            self.ready.push_back(id);
            self.ready_now += 1;
        }
    }

    /// The first job of a key is gone: the next may come.
    fn next_of(&mut self, now: Now, key: &Arc<str>) {
        if key.is_empty() {
            return;
        }
        let line = (Arc::clone(key), 0)..=(Arc::clone(key), u64::MAX);
        let Some((line, id)) = self.behind.range(line).next() else {
            self.heads.remove(key);
            return;
        };
        let (line, id) = (line.clone(), Arc::clone(id));
        self.behind.remove(&line);
        self.heads.insert(Arc::clone(key), Arc::clone(&id));
        let due = self.all.get(&id).map_or(0, |job| job.due);
        self.line_up(now, id, due);
    }

    fn bury(&mut self, now: Now, id: &Arc<str>, reason: &str) {
        self.in_flight.remove(id);
        let Some(job) = self.all.remove(id) else {
            return;
        };
        let died = millis_of(now.unix);
        let letter = Letter {
            id: id.to_string(),
            attempts: job.attempts,
            pushed: job.pushed,
            died,
            consumer: job.consumer.to_string(),
            key: job.key.to_string(),
            reason: reason.to_owned(),
            content: job.content,
        };
        self.died.insert(id, whole_millis(died));
        self.letters.insert(Arc::clone(id), letter);
        self.next_of(now, &job.key);
    }

    fn bound_letters(&mut self, now: Now, rules: &LetterRules) {
        let oldest = whole_millis(millis_of(now.unix)).saturating_sub(rules.age.as_millis());
        self.drop_letters(&self.died.due(oldest, AT_ONCE));
        let more = (self.died.len() as u64).saturating_sub(rules.most);
        let more = usize::try_from(more).unwrap_or(AT_ONCE).min(AT_ONCE);
        self.drop_letters(&self.died.earliest(more));
    }

    fn drop_letters(&mut self, ids: &[Arc<str>]) {
        for id in ids {
            self.died.remove(id);
            self.letters.remove(id);
            self.dropped += 1;
        }
    }

    pub(super) fn take(&mut self, now: Now, want: &Want<'_>) -> Taken {
        let died = self.end_leases(now, &want.rules);
        for id in self.delayed.due(now.ms, AT_ONCE) {
            self.delayed.remove(&id);
            self.ready.push_back(id);
        }
        let most = usize::try_from(want.most).unwrap_or(usize::MAX);
        let mut taken = Taken {
            died,
            ..Taken::default()
        };
        let mut bytes = 0;
        let mut fence = super::next_number(self.fence, now.unix);
        while taken.jobs.len() < most
            && let Some(id) = self.ready.pop_front()
        {
            let Some(job) = self.all.get_mut(&id) else {
                continue;
            };
            if bytes > 0 && bytes + job.content.len() > LARGE {
                self.ready.push_front(id);
                break;
            }
            bytes += job.content.len();
            job.attempts += 1;
            job.fence = Some(fence);
            job.consumer = want.consumer.into();
            taken.jobs.push(TakenJob {
                id: id.to_string(),
                fence,
                attempt: job.attempts,
                pushed: job.pushed,
                key: job.key.to_string(),
                content: job.content.clone(),
            });
            self.fence = Some(fence);
            fence += 1;
            self.in_flight
                .insert(&id, now.ms.saturating_add(want.lease.as_millis()));
        }
        if taken.jobs.len() < most {
            taken.next = self.next_due(now);
            self.ready_now = 0;
            if let Some(waits) = want.waits {
                self.idle.insert(
                    &want.consumer.into(),
                    now.ms.saturating_add(waits.as_millis()),
                );
            }
        } else {
            self.idle.remove(want.consumer);
            self.ready_now = self.ready.len();
        }
        taken
    }

    /// What nobody extends is ready before all others, or dead; how many died.
    fn end_leases(&mut self, now: Now, rules: &LetterRules) -> u64 {
        let mut died = 0;
        for id in self.in_flight.due(now.ms, AT_ONCE).into_iter().rev() {
            match self.all.get_mut(&id) {
                Some(job) if job.attempts < rules.attempts => {
                    job.fence = None;
                    self.in_flight.remove(&id);
                    self.ready.push_front(id);
                }
                Some(_) | None => {
                    let reason = "the lease ended: the consumer was lost, or took too long";
                    self.bury(now, &id, reason);
                    died += 1;
                }
            }
        }
        if died > 0 {
            self.bound_letters(now, rules);
        }
        died
    }

    fn next_due(&self, now: Now) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let firsts = [self.in_flight.first(), self.delayed.first()];
        let first = firsts.into_iter().flatten().min()?;
        Some(Duration::from_millis(first.saturating_sub(now.ms)))
    }

    fn held(&mut self, held: &HeldJob<'_>) -> Option<&mut Job> {
        let job = self.all.get_mut(held.id)?;
        (job.fence == Some(held.fence)).then_some(job)
    }

    pub(super) fn renew(&mut self, now: Now, held: &HeldJob<'_>, lease: Ttl) -> bool {
        let is_held = self.held(held).is_some();
        if is_held {
            let ends = now.ms.saturating_add(lease.as_millis());
            self.in_flight.insert(&held.id.into(), ends);
        }
        is_held
    }

    pub(super) fn settle(
        &mut self,
        now: Now,
        settlement: &Settlement<'_>,
        rules: &LetterRules,
    ) -> Settled {
        let id: Arc<str> = settlement.of.id.into();
        let Some(job) = self.held(&settlement.of) else {
            return Settled::Lost;
        };
        match settlement.verdict {
            Verdict::Done => {
                let key = Arc::clone(&job.key);
                self.all.remove(&id);
                self.in_flight.remove(&id);
                self.next_of(now, &key);
            }
            Verdict::Retry(_, reason) if job.attempts >= rules.attempts => {
                self.bury(now, &id, reason);
                self.bound_letters(now, rules);
                return Settled::Exhausted;
            }
            Verdict::Dead(reason) => {
                self.bury(now, &id, reason);
                self.bound_letters(now, rules);
            }
            Verdict::Retry(delay, _) => self.again(now, id, whole_millis(delay)),
            Verdict::Back => {
                job.attempts = job.attempts.saturating_sub(1);
                self.again(now, id, 0);
            }
        }
        Settled::Settled
    }

    fn again(&mut self, now: Now, id: Arc<str>, delay: u64) {
        let due = now.ms.saturating_add(delay);
        if let Some(job) = self.all.get_mut(&id) {
            job.fence = None;
            job.due = due;
        }
        self.in_flight.remove(&id);
        if delay > 0 {
            self.delayed.insert(&id, due);
        } else {
            self.ready.push_front(id);
            self.ready_now += 1;
        }
    }

    pub(super) fn view(&self) -> QueueView {
        QueueView {
            ready: self.ready.len() as u64,
            delayed: self.delayed.len() as u64,
            in_flight: self.in_flight.len() as u64,
            behind: self.behind.len() as u64,
            dead: self.died.len() as u64,
            dropped: self.dropped,
            lost: 0,
        }
    }

    pub(super) fn letters(&self, skip: u64, most: u64) -> Vec<Letter> {
        let [skip, most] = [skip, most].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let ids = self.died.latest().skip(skip).take(most);
        ids.filter_map(|id| self.letters.get(id)).cloned().collect()
    }

    pub(super) fn replay(&mut self, now: Now, id: &str) -> bool {
        if self.all.contains_key(id) {
            return false;
        }
        let Some((id, letter)) = self.letters.remove_entry(id) else {
            return false;
        };
        self.died.remove(&id);
        self.admit(now, id, now.ms, letter.key.into(), letter.content);
        true
    }

    pub(super) fn purge(&mut self, id: &str) -> bool {
        self.died.remove(id);
        self.letters.remove(id).is_some()
    }

    /// Who is to be called for what has become ready, one a job.
    pub(super) fn called(&mut self, now: Now) -> Vec<Arc<str>> {
        let most = std::mem::take(&mut self.ready_now).min(32);
        let waiting = std::iter::from_fn(|| self.idle.pop_last());
        let waiting = waiting.take(most).filter(|(until, _)| *until > now.ms);
        waiting.map(|(_, consumer)| consumer).collect()
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Without what is below a millisecond, as the scripts have it.
fn millis_of(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
