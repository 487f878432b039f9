//! A job before it is pushed.

use std::fmt;
use std::time::Duration;

use super::handle::{Pushed, Shared};
use super::{content, metrics};
use crate::backend::{self, Push};
use crate::error::{Error, Result};
use crate::key::AsKey;
use crate::ttl::Ttl;

const ID_MAX: usize = 256;
/// Jobs, and bytes of them, after which one call of the store adds no more.
const AT_ONCE: usize = 128;
const LARGE: usize = 1 << 20;

/// Describes a job; made by [`Queue::job`](super::Queue::job).
#[must_use]
pub struct NewJob<'a, T> {
    queue: &'a Shared<T>,
    data: &'a T,
    id: Option<String>,
    key: Result<String>,
    delay: Duration,
    trace: Option<String>,
}

/// What the store is given.
struct Ready {
    id: String,
    window: Ttl,
    key: String,
    delay: Duration,
    content: Vec<u8>,
    is_ours: bool,
}

impl<'a, T> NewJob<'a, T> {
    /// The longest delay.
    pub const DELAY_MAX: Duration = Duration::from_hours(28 * 24);

    pub(super) fn new(queue: &'a Shared<T>, data: &'a T) -> Self {
        Self {
            queue,
            data,
            id: None,
            key: Ok(String::new()),
            delay: Duration::ZERO,
            trace: None,
        }
    }

    /// Tells the job from all others: within the `dedupe` window a second one of the same id is not
    /// added. 1 to 256 bytes without control characters; default random.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Jobs of one key are done in the order in which they were pushed, one at a time: the next is
    /// delivered when the one before is done or dead, however often that is retried. Default none.
    pub fn key(mut self, key: impl AsKey) -> Self {
        self.key = key.key_text().map(std::borrow::Cow::into_owned);
        self
    }

    /// How long until it may be delivered; default none, at most
    /// [`DELAY_MAX`](Self::DELAY_MAX). It holds up the later jobs of its key.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The W3C trace context that the worker, and a dead letter, are told.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.trace = Some(traceparent.into());
        self
    }

    /// Adds the job. When dropped, it is added or not.
    ///
    /// # Errors
    /// As [`Queue::push`](super::Queue::push); [`Invalid`](crate::ErrorKind::Invalid), too, for an id,
    /// a key, a delay or a trace out of its range.
    pub async fn push(self) -> Result<Pushed> {
        let queue = self.queue;
        let ready = self.ready()?;
        let pushed = push_together(queue, std::slice::from_ref(&ready)).await?;
        let mut answers = told(queue, vec![ready], pushed);
        answers.pop().ok_or_else(|| Error::invalid("no answer"))
    }

    fn ready(self) -> Result<Ready> {
        let payload = self.queue.codec.encode(self.data)?;
        if payload.len() > self.queue.payload_bytes {
            return Err(Error::invalid(format!(
                "payload of {} bytes is larger than {}",
                payload.len(),
                self.queue.payload_bytes
            )));
        }
        if self.delay > Self::DELAY_MAX {
            return Err(Error::invalid("delay of a job is 28 days at most"));
        }
        let is_ours = self.id.is_none();
        let id = self.id.unwrap_or_else(crate::random::token);
        check_id(&id)?;
        Ok(Ready {
            id,
            window: if is_ours {
                self.queue.resend
            } else {
                self.queue.window
            },
            key: self.key?,
            delay: self.delay,
            content: content::join(self.trace.as_deref(), &payload)?,
            is_ours,
        })
    }
}

pub(super) fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > ID_MAX || id.chars().any(char::is_control) {
        return Err(Error::invalid(
            "id of a job must be 1 to 256 bytes without control characters",
        ));
    }
    Ok(())
}

pub(super) async fn push_all<T>(
    queue: &Shared<T>,
    jobs: Vec<NewJob<'_, T>>,
) -> Result<Vec<Pushed>> {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut part = Vec::new();
    let mut bytes = 0;
    let mut jobs = jobs.into_iter();
    while let Some(job) = jobs.next() {
        let job = job.ready()?;
        bytes += job.content.len();
        part.push(job);
        if part.len() == AT_ONCE || bytes > LARGE || jobs.len() == 0 {
            let pushed = push_together(queue, &part).await?;
            answers.extend(told(queue, std::mem::take(&mut part), pushed));
            bytes = 0;
        }
    }
    Ok(answers)
}

async fn push_together<T>(queue: &Shared<T>, jobs: &[Ready]) -> Result<Vec<Push>> {
    let jobs: Vec<_> = jobs
        .iter()
        .map(|job| backend::NewJob {
            id: &job.id,
            window: job.window,
            delay: job.delay,
            key: &job.key,
            content: &job.content,
        })
        .collect();
    let pushed = queue.store.push(&queue.key, &jobs, queue.most_jobs);
    pushed.await
}

fn told<T>(queue: &Shared<T>, jobs: Vec<Ready>, pushed: Vec<Push>) -> Vec<Pushed> {
    let answers = jobs.into_iter().zip(pushed).map(|(job, push)| match push {
        // Nobody else has the id: this is the answer to a second sending.
        Push::Known if !job.is_ours => {
            metrics::refused(&queue.name, "duplicate");
            Pushed::Duplicate { id: job.id }
        }
        Push::Added | Push::Known => {
            metrics::pushed(&queue.name, 1);
            Pushed::Added { id: job.id }
        }
        Push::Full => {
            metrics::refused(&queue.name, "full");
            Pushed::Full
        }
    });
    answers.collect()
}

impl<T> fmt::Debug for NewJob<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJob")
            .field("queue", &self.queue.name)
            .field("id", &self.id)
            .field("key", &self.key)
            .field("delay", &self.delay)
            .finish_non_exhaustive()
    }
}
