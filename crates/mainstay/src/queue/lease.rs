//! Deliveries for callers that keep them by themselves: other programs, other languages.

use std::time::Duration;

use bytes::Bytes;

use super::delivery::Settled;
use super::handle::{Queue, Shared};
use super::job::check_id;
use super::{content, metrics};
use crate::backend::{self, HeldJob, Settlement, TakenJob, Verdict, Want};
use crate::error::{Error, Result};
use crate::ttl::Ttl;

const LEASE_MIN: Duration = Duration::from_millis(100);
const LEASE_MAX: Duration = Duration::from_hours(24);
/// Longer reasons are cut.
const REASON_MAX: usize = 1_000;

/// Proves a delivery: its holder can extend and end it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Of the job.
    pub id: String,
    /// Of the delivery: above all earlier ones of the queue.
    pub fence: u64,
}

/// A delivery that ends by itself unless it is renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leased {
    /// Proves it.
    pub ticket: Ticket,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// When the job was pushed, since 1970, by the store's clock.
    pub pushed_at: Duration,
    /// Whose order is kept.
    pub key: Option<String>,
    /// As it was pushed.
    pub traceparent: Option<String>,
    /// As it was encoded.
    pub payload: Bytes,
}

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done.
    Done,
    /// It has failed and comes again after a while, as the same job with the next attempt; or it is dead
    /// if that was the last.
    Retry {
        /// At most 28 days.
        after: Duration,
        /// For people; what is beyond 1,000 bytes is cut.
        reason: String,
    },
    /// It was not tried: it comes again at once, and the attempt does not count.
    Back,
    /// It is dead at once.
    Dead {
        /// For people; what is beyond 1,000 bytes is cut.
        reason: String,
    },
}

impl Outcome {
    pub(super) fn verdict(&self) -> Verdict<'_> {
        match self {
            Self::Done => Verdict::Done,
            Self::Retry { after, reason } => Verdict::Retry(*after, cut(reason)),
            Self::Back => Verdict::Back,
            Self::Dead { reason } => Verdict::Dead(cut(reason)),
        }
    }

    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retry",
            Self::Back => "back",
            Self::Dead { .. } => "dead",
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Retry { after, .. } if *after > Duration::from_hours(28 * 24) => {
                Err(Error::invalid("delay of a job is 28 days at most"))
            }
            Self::Retry { .. } | Self::Done | Self::Back | Self::Dead { .. } => Ok(()),
        }
    }
}

fn cut(reason: &str) -> &str {
    let end = reason.floor_char_boundary(REASON_MAX);
    reason.get(..end).unwrap_or_default()
}

pub(super) fn lease(duration: Duration) -> Result<Ttl> {
    if !(LEASE_MIN..=LEASE_MAX).contains(&duration) {
        return Err(Error::invalid(
            "lease of a job must be between 100 ms and 24 h",
        ));
    }
    Ttl::new(duration)
}

pub(super) fn check_consumer(consumer: &str) -> Result<()> {
    let graphic = consumer.bytes().all(|byte| byte.is_ascii_graphic());
    if consumer.is_empty() || consumer.len() > 128 || !graphic {
        return Err(Error::invalid(
            "consumer of a queue must be 1 to 128 graphic ASCII characters",
        ));
    }
    Ok(())
}

/// Tells of the jobs that have died on the way.
pub(super) fn tell_died<T>(queue: &Shared<T>, died: u64) {
    if died > 0 {
        metrics::settled(&queue.name, "dead", died);
        tracing::warn!(queue = %queue.name, jobs = died, "jobs are dead: their last lease has ended");
    }
}

impl Leased {
    pub(super) fn new(job: TakenJob) -> Self {
        let (traceparent, payload) = content::split(&job.content);
        Self {
            ticket: Ticket {
                id: job.id,
                fence: job.fence,
            },
            attempt: job.attempt,
            pushed_at: job.pushed,
            key: Some(job.key).filter(|key| !key.is_empty()),
            traceparent,
            payload,
        }
    }
}

impl<T> Queue<T> {
    /// Takes up to `most` (at most 1,000) jobs that are ready, without waiting, for a caller that
    /// renews and settles them by itself. `consumer` is for people; a [`worker`](Self::worker) does all of this.
    ///
    /// Fewer may be given: no more than about 4 MiB are at once. When dropped, or when its answer is
    /// lost, what was taken comes again when its lease ends.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a lease not between 100 ms and 24 h, or a
    /// consumer that is not 1 to 128 graphic ASCII characters;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer.
    pub async fn take(&self, consumer: &str, most: u32, lease: Duration) -> Result<Vec<Leased>> {
        check_consumer(consumer)?;
        let want = Want {
            consumer,
            most: u64::from(most.min(1_000)),
            lease: self::lease(lease)?,
            waits: None,
            rules: self.0.rules,
        };
        let taken = self.0.store.take(&self.0.key, &want).await?;
        tell_died(&self.0, taken.died);
        metrics::delivered(&self.0.name, taken.jobs.len() as u64);
        Ok(taken.jobs.into_iter().map(Leased::new).collect())
    }

    /// The value in a payload.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) when it is none.
    pub fn decode(&self, payload: &Bytes) -> Result<T> {
        self.0.codec.decode(payload)
    }

    /// Extends leases, at most 1,000; one answer each, whether it is the ticket's still. Cancel safe.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn renew(&self, tickets: &[Ticket], lease: Duration) -> Result<Vec<bool>> {
        let lease = self::lease(lease)?;
        let held = held(tickets.iter())?;
        self.0.store.renew(&self.0.key, &held, lease).await
    }

    /// Ends deliveries, at most 1,000; one answer each. When dropped, they are ended or not.
    ///
    /// # Errors
    /// As [`take`](Self::take); [`Invalid`](crate::ErrorKind::Invalid) for a retry after more than 28
    /// days.
    pub async fn settle(&self, outcomes: &[(Ticket, Outcome)]) -> Result<Vec<Settled>> {
        let held = held(outcomes.iter().map(|(ticket, _)| ticket))?;
        for (_, outcome) in outcomes {
            outcome.check()?;
        }
        let settlements = held.into_iter().zip(outcomes);
        let settlements: Vec<_> = settlements
            .map(|(of, (_, outcome))| Settlement {
                of,
                verdict: outcome.verdict(),
            })
            .collect();
        let settled = self
            .0
            .store
            .settle(&self.0.key, &settlements, &self.0.rules);
        let settled = settled.await?;
        for (answer, (ticket, outcome)) in settled.iter().zip(outcomes) {
            tell_settled(&self.0, &ticket.id, outcome, *answer);
        }
        Ok(settled.into_iter().map(Settled::from).collect())
    }
}

fn held<'a>(tickets: impl Iterator<Item = &'a Ticket>) -> Result<Vec<HeldJob<'a>>> {
    let held: Vec<_> = tickets
        .map(|ticket| {
            check_id(&ticket.id)?;
            Ok(HeldJob {
                id: &ticket.id,
                fence: ticket.fence,
            })
        })
        .collect::<Result<_>>()?;
    if held.len() > 1_000 {
        return Err(Error::invalid("more than 1000 deliveries in one call"));
    }
    Ok(held)
}

/// Counts and logs what became of a delivery.
pub(super) fn tell_settled<T>(
    queue: &Shared<T>,
    id: &str,
    outcome: &Outcome,
    answer: backend::Settled,
) {
    let (word, reason) = match (answer, outcome) {
        (backend::Settled::Lost, _) => return,
        (backend::Settled::Exhausted, Outcome::Retry { reason, .. })
        | (_, Outcome::Dead { reason }) => ("dead", Some(reason)),
        (_, outcome) => (outcome.word(), None),
    };
    metrics::settled(&queue.name, word, 1);
    if let Some(reason) = reason {
        tracing::warn!(queue = %queue.name, id, reason = cut(reason), "a job is dead");
    }
}
