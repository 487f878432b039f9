//! What a queue is called and what becomes of jobs that fail.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::handle::{Queue, Shared};
use crate::backend::{LetterRules, QueueStore};
use crate::clock::Clock;
use crate::codec::{Codec, Json};
use crate::error::{Error, Result};
use crate::key::{Keyspace, Name};
use crate::ttl::Ttl;

const DAY: Duration = Duration::from_hours(24);
/// Added to the time that a call may take, for which an id must be known at least.
const MARGIN: Duration = Duration::from_secs(5);

/// Defines a [`Queue`]; made by [`Mainstay::queue`](crate::Mainstay::queue).
///
/// All processes that share a queue should define it alike: each judges by its own definition.
#[must_use]
pub struct QueueBuilder<T, C = Json> {
    store: Arc<dyn QueueStore>,
    keyspace: Keyspace,
    clock: Arc<dyn Clock>,
    command_timeout: Duration,
    name: String,
    codec: C,
    attempts: u32,
    backoff: Backoff,
    most_jobs: u64,
    dedupe: Duration,
    letters: (u64, Duration),
    payload_bytes: usize,
    data: std::marker::PhantomData<fn() -> T>,
}

impl<T> QueueBuilder<T> {
    pub(crate) fn new(
        store: Arc<dyn QueueStore>,
        keyspace: Keyspace,
        clock: Arc<dyn Clock>,
        command_timeout: Duration,
        name: &str,
    ) -> Self {
        Self {
            store,
            keyspace,
            clock,
            command_timeout,
            name: name.to_owned(),
            codec: Json,
            attempts: 5,
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_mins(5),
            },
            most_jobs: 1_000_000,
            dedupe: Duration::from_hours(1),
            letters: (10_000, 14 * DAY),
            payload_bytes: Self::PAYLOAD_MAX,
            data: std::marker::PhantomData,
        }
    }
}

impl<T, C> QueueBuilder<T, C> {
    /// The largest payload, in bytes: 1 MiB.
    pub const PAYLOAD_MAX: usize = 1 << 20;
    /// The longest that an id is known, and a dead letter kept.
    const LONGEST: Duration = Duration::from_hours(28 * 24);

    /// How payloads are encoded; default JSON.
    pub fn codec<D: Codec<T> + 'static>(self, codec: D) -> QueueBuilder<T, D> {
        QueueBuilder {
            store: self.store,
            keyspace: self.keyspace,
            clock: self.clock,
            command_timeout: self.command_timeout,
            name: self.name,
            codec,
            attempts: self.attempts,
            backoff: self.backoff,
            most_jobs: self.most_jobs,
            dedupe: self.dedupe,
            letters: self.letters,
            payload_bytes: self.payload_bytes,
            data: self.data,
        }
    }

    /// How often a job is tried before it is dead; 1 to 1,000, default 5.
    ///
    /// A crash of the worker counts for all that it had in flight, since nobody can tell which job
    /// it was.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long a job that has failed waits: `first` after the first attempt, twice as long after each
    /// further one, at most `longest`; a random part of a half less. Default 1 s to 5 minutes, at
    /// most 24 h.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Backoff { first, longest };
        self
    }

    /// How many jobs there may be, in whatever state but dead; default 1,000,000, at least 1. A push
    /// beyond that is answered [`Full`](super::Pushed::Full).
    pub fn max_len(mut self, jobs: u64) -> Self {
        self.most_jobs = jobs;
        self
    }

    /// How long an id that a caller gives is known after its push, also when its job is done by then;
    /// default 1 h, at most 28 days.
    pub fn dedupe(mut self, window: Duration) -> Self {
        self.dedupe = window;
        self
    }

    /// How many dead letters are kept, and for how long; default 10,000 and 14 days, at least 1, at most
    /// 28 days. The oldest fall out, and are counted.
    pub fn dead_letters(mut self, most: u64, age: Duration) -> Self {
        self.letters = (most, age);
        self
    }

    /// The largest payload in bytes; default and at most [`PAYLOAD_MAX`](Self::PAYLOAD_MAX).
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.payload_bytes = bytes;
        self
    }

    /// Checks the definition.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is no [`Name`] or a number is out of its
    /// range.
    pub fn build(self) -> Result<Queue<T>>
    where
        C: Codec<T> + 'static,
    {
        let name = Name::new(&self.name)?;
        if !(1..=1_000).contains(&self.attempts) {
            return Err(Error::invalid("max_attempts of a queue must be 1 to 1000"));
        }
        if self.backoff.first.is_zero() || self.backoff.longest > DAY {
            return Err(Error::invalid(
                "backoff of a queue must be above zero and at most 24 h",
            ));
        }
        let (most, age) = self.letters;
        if self.most_jobs == 0 || most == 0 {
            return Err(Error::invalid(
                "max_len and dead_letters of a queue must be at least 1",
            ));
        }
        if self.dedupe > Self::LONGEST || age > Self::LONGEST {
            return Err(Error::invalid(
                "dedupe and dead_letters of a queue last 28 days at most",
            ));
        }
        if self.payload_bytes > Self::PAYLOAD_MAX {
            return Err(Error::invalid("max_payload of a queue is 1 MiB at most"));
        }
        Ok(Queue::new(Shared {
            key: self.keyspace.queue(&name),
            name,
            store: self.store,
            clock: self.clock,
            codec: Box::new(self.codec),
            rules: LetterRules {
                attempts: self.attempts,
                most,
                age: Ttl::new(age)?,
            },
            backoff: self.backoff,
            most_jobs: self.most_jobs,
            window: Ttl::new(self.dedupe)?,
            resend: Ttl::new(self.command_timeout.saturating_add(MARGIN).min(Ttl::MAX))?,
            payload_bytes: self.payload_bytes,
        }))
    }
}

impl<T, C> fmt::Debug for QueueBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueBuilder")
            .field("name", &self.name)
            .field("max_attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
