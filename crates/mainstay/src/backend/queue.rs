//! Contract of the queue store.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::lock::Wakeups;
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Keeps jobs until somebody says that they are done.
///
/// # Behaviour
/// - A job is in one place: ready, delayed, in flight, or behind another of its key. It leaves by
///   `Done`, or in one step with the dead letter that it becomes; nothing else ends it.
/// - `take` hands out what has been ready longest, with a lease and a fence that is above all
///   earlier ones of the queue, and counts the attempt in the same step: a crash counts as one. A
///   fence is at least the store's clock in microseconds, so it rises also after a loss of data.
/// - A lease that has ended makes its job ready again, before all others, when anybody takes; or dead
///   after the last attempt. So any consumer makes up for any other, and there is no reaper to fail.
/// - `settle` and `renew` have an effect under the fence of the latest delivery alone, and say so.
///   A settlement that is sent again is answered as the first was, for ten seconds.
/// - Of the jobs of one key the first that was pushed is the only one that is ready, delayed or in
///   flight. It stays the first over retries and lost consumers; the next comes when it is gone.
/// - An id that is known, since its job is there or its window has not ended, is not pushed again.
/// - A consumer that has found less than it wanted and waits is called when there is something for
///   it; one call a job. It may miss that, and looks again from time to time.
/// - No more dead letters are kept than was said, none for longer; what falls out is counted.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Adds jobs; one answer each, in their order. No more than `most` are there at a time.
    async fn push(&self, key: &StoreKey, jobs: &[NewJob<'_>], most: u64) -> Result<Vec<Push>>;

    /// Hands out jobs.
    async fn take(&self, key: &StoreKey, want: &Want<'_>) -> Result<Taken>;

    /// Extends leases; one answer each, whether it is in flight under that fence.
    async fn renew(&self, key: &StoreKey, held: &[HeldJob<'_>], lease: Ttl) -> Result<Vec<bool>>;

    /// Ends deliveries; one answer each.
    async fn settle(
        &self,
        key: &StoreKey,
        settlements: &[Settlement<'_>],
        rules: &LetterRules,
    ) -> Result<Vec<Settled>>;

    /// How many jobs there are, by what they wait for.
    async fn seen(&self, key: &StoreKey) -> Result<QueueView>;

    /// At most `most` dead letters, the latest first, without the first `skip`; fewer if they are
    /// large, none only at the end.
    async fn letters(&self, key: &StoreKey, skip: u64, most: u64) -> Result<Vec<Letter>>;

    /// Makes dead letters jobs again, as if they had been pushed now; how many. One whose id is a
    /// job's stays.
    async fn replay(&self, key: &StoreKey, ids: &[&str]) -> Result<u64>;

    /// Forgets dead letters; how many.
    async fn purge(&self, key: &StoreKey, ids: &[&str]) -> Result<u64>;

    /// Listens for calls of a consumer.
    async fn wakeups(&self, key: &StoreKey, consumer: &str) -> Result<Box<dyn Wakeups>>;
}

/// A job that is to be added.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a> {
    /// Tells it from all others.
    pub id: &'a str,
    /// How long the id is known at least.
    pub window: Ttl,
    /// How long until it is ready.
    pub delay: Duration,
    /// Whose jobs keep their order; empty for none.
    pub key: &'a str,
    /// What it is about.
    pub content: &'a [u8],
}

/// Answer of [`QueueStore::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Push {
    /// There are as many jobs as may be.
    Full,
    /// It will be handed out.
    Added,
    /// A job of that id was pushed before.
    Known,
}

/// Who wants jobs.
#[derive(Debug, Clone, Copy)]
pub struct Want<'a> {
    /// Without white space, new for each process.
    pub consumer: &'a str,
    /// So many at most.
    pub most: u64,
    /// How long they are in flight unless that is extended.
    pub lease: Ttl,
    /// How long the consumer waits to be called if there is less; `None` to not wait.
    pub waits: Option<Ttl>,
    /// What becomes of what has failed.
    pub rules: LetterRules,
}

/// When a job is dead, and how many dead letters are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetterRules {
    /// A job that has failed so often is dead.
    pub attempts: u32,
    /// So many letters at most.
    pub most: u64,
    /// For so long.
    pub age: Ttl,
}

/// Answer of [`QueueStore::take`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// What is handed out.
    pub jobs: Vec<TakenJob>,
    /// Until another job is due, or the lease of one ends; `None` when there is none, or the
    /// caller got as many as it wanted.
    pub next: Option<Duration>,
    /// How many have died as their last lease has ended.
    pub died: u64,
}

/// A job in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenJob {
    /// As it was pushed.
    pub id: String,
    /// Of this delivery.
    pub fence: u64,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// When it was pushed, since 1970.
    pub pushed: Duration,
    /// As it was pushed; empty for none.
    pub key: String,
    /// As it was pushed.
    pub content: Bytes,
}

/// Names a delivery.
#[derive(Debug, Clone, Copy)]
pub struct HeldJob<'a> {
    /// Of the job.
    pub id: &'a str,
    /// Of the delivery.
    pub fence: u64,
}

/// The end of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Settlement<'a> {
    /// Which.
    pub of: HeldJob<'a>,
    /// How.
    pub verdict: Verdict<'a>,
}

/// What becomes of a job.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'a> {
    /// It is done.
    Done,
    /// It has failed: it comes again after a while, or is dead after the last attempt.
    Retry(Duration, &'a str),
    /// It was not tried: it comes again at once, and the attempt does not count.
    Back,
    /// It is dead.
    Dead(&'a str),
}

/// Answer of [`QueueStore::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It is not in flight under that fence; nothing changed.
    Lost,
    /// As was wanted.
    Settled,
    /// It was to be tried again and is dead.
    Exhausted,
}

/// Answer of [`QueueStore::seen`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueView {
    /// Whoever takes next gets these.
    pub ready: u64,
    /// Not due yet.
    pub delayed: u64,
    /// Handed out.
    pub in_flight: u64,
    /// Behind another of their key.
    pub behind: u64,
    /// Dead letters.
    pub dead: u64,
    /// Dead letters that fell out since the queue began.
    pub dropped: u64,
    /// Jobs whose content the store has lost, since the queue began.
    pub lost: u64,
}

/// A job that is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// As it was pushed.
    pub id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was pushed, since 1970.
    pub pushed: Duration,
    /// When it died, since 1970.
    pub died: Duration,
    /// Who had it last.
    pub consumer: String,
    /// As it was pushed; empty for none.
    pub key: String,
    /// Why it died.
    pub reason: String,
    /// As it was pushed.
    pub content: Bytes,
}
