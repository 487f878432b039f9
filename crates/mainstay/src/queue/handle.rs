//! The handle of a queue.

use std::fmt;
use std::sync::Arc;

use super::backoff::Backoff;
use super::job::{self, NewJob};
use super::worker::WorkerBuilder;
use crate::backend::{LetterRules, QueueStore};
use crate::clock::Clock;
use crate::codec::Codec;
use crate::error::Result;
use crate::key::{Name, StoreKey};
use crate::ttl::Ttl;

/// A queue of jobs that carry a `T`; made by [`Mainstay::queue`](crate::Mainstay::queue).
///
/// Cheap to clone.
pub struct Queue<T>(pub(super) Arc<Shared<T>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

pub(super) struct Shared<T> {
    pub(super) name: Name,
    pub(super) key: StoreKey,
    pub(super) store: Arc<dyn QueueStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) codec: Box<dyn Codec<T>>,
    pub(super) rules: LetterRules,
    pub(super) backoff: Backoff,
    pub(super) most_jobs: u64,
    /// How long an id of a caller is known.
    pub(super) window: Ttl,
    /// How long one of ours is: while its push may be sent again.
    pub(super) resend: Ttl,
    pub(super) payload_bytes: usize,
}

/// Whether a job was added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Pushed {
    /// It will be delivered.
    Added {
        /// As it was given, or random.
        id: String,
    },
    /// A job of that id was pushed before, maybe by this very call, if its answer was lost and it was
    /// sent again: it is there, or was.
    Duplicate {
        /// As it was given.
        id: String,
    },
    /// There are as many jobs as there may be; nothing was added.
    Full,
}

/// How many jobs a queue has, by what they wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Whoever takes next gets these, or had them and was lost just now.
    pub ready: u64,
    /// Not due yet.
    pub delayed: u64,
    /// Delivered, and not acknowledged yet.
    pub in_flight: u64,
    /// Behind another job of their key.
    pub behind: u64,
    /// Dead letters.
    pub dead: u64,
    /// Dead letters that fell out, since the queue began.
    pub dead_dropped: u64,
    /// Jobs whose content the store has lost (evicted, say), since the queue began.
    pub lost: u64,
}

impl<T> Queue<T> {
    pub(super) fn new(shared: Shared<T>) -> Self {
        Self(Arc::new(shared))
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Adds a job.
    ///
    /// It has a random id, so a push whose answer was lost is sent again without adding a second.
    /// When dropped, the job is added or not.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) when the value has no encoded form,
    /// [`Invalid`](crate::ErrorKind::Invalid) when that is larger than `max_payload`;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer.
    pub async fn push(&self, data: &T) -> Result<Pushed> {
        self.job(data).push().await
    }

    /// Adds jobs with few calls of the store; one answer each, in their order. Not all or none.
    ///
    /// # Errors
    /// As [`push`](Self::push); some of them may have been added then.
    pub async fn push_all<'a>(&self, data: impl IntoIterator<Item = &'a T>) -> Result<Vec<Pushed>>
    where
        T: 'a,
    {
        let jobs = data.into_iter().map(|data| self.job(data));
        job::push_all(&self.0, jobs.collect()).await
    }

    /// As [`push_all`](Self::push_all), of jobs with ids, keys and delays of their own.
    ///
    /// # Errors
    /// As [`NewJob::push`]; some of them may have been added then.
    pub async fn push_jobs(&self, jobs: Vec<NewJob<'_, T>>) -> Result<Vec<Pushed>> {
        job::push_all(&self.0, jobs).await
    }

    /// Starts to describe a job: its id, its key, when it is due.
    pub fn job<'a>(&'a self, data: &'a T) -> NewJob<'a, T> {
        NewJob::new(&self.0, data)
    }

    /// Starts to define a worker of this process.
    pub fn worker(&self) -> WorkerBuilder<T> {
        WorkerBuilder::new(Arc::clone(&self.0))
    }

    /// How many jobs there are. Cancel safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn stats(&self) -> Result<QueueStats> {
        let seen = self.0.store.seen(&self.0.key).await?;
        Ok(QueueStats {
            ready: seen.ready,
            delayed: seen.delayed,
            in_flight: seen.in_flight,
            behind: seen.behind,
            dead: seen.dead,
            dead_dropped: seen.dropped,
            lost: seen.lost,
        })
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.0.name).finish()
    }
}
