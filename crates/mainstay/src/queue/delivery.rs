//! A job in the hands of a worker.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::backoff::Backoff;
use super::lease::Outcome;
use super::order::Order;
use crate::backend;
use crate::error::{Error, ErrorKind, Result};

/// A job, as its handler gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job<T> {
    /// What was pushed.
    pub data: T,
    /// As it was given, or random; the same over all attempts.
    pub id: String,
    /// Which attempt it is, from 1: deliveries whose worker was lost count.
    pub attempt: u32,
    /// Above those of all earlier deliveries of the queue. To be sent with every write, so that the
    /// resource can refuse a smaller one.
    pub fence: u64,
    /// When it was pushed, since 1970, by the store's clock.
    pub pushed_at: Duration,
    /// Whose order is kept.
    pub key: Option<String>,
    /// As it was pushed.
    pub traceparent: Option<String>,
}

/// What came of the end of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Settled {
    /// As was wanted.
    Settled,
    /// It was to be tried again, had no attempt left, and is dead.
    Dead,
    /// It was the caller's no longer: another has the job, had it, or will get it. Nothing changed.
    Lost,
}

impl From<backend::Settled> for Settled {
    fn from(settled: backend::Settled) -> Self {
        match settled {
            backend::Settled::Settled => Self::Settled,
            backend::Settled::Exhausted => Self::Dead,
            backend::Settled::Lost => Self::Lost,
        }
    }
}

/// A job and the duty to say what became of it.
///
/// Extended by its worker until it is settled or lost. Dropping it counts as a failed attempt: the job
/// is tried again after the backoff.
#[must_use]
pub struct Delivery<T> {
    job: Job<T>,
    receipt: Receipt,
}

/// The duty to say what became of a job, without the job.
///
/// As of a [`Delivery`], dropping it counts as a failed attempt.
#[must_use]
pub struct Receipt {
    id: Arc<str>,
    fence: u64,
    attempt: u32,
    backoff: Backoff,
    lost: watch::Receiver<bool>,
    orders: mpsc::UnboundedSender<Order>,
    is_begun: bool,
    is_settled: AtomicBool,
}

impl Receipt {
    pub(super) fn new(
        id: Arc<str>,
        (fence, attempt): (u64, u32),
        backoff: Backoff,
        lost: watch::Receiver<bool>,
        orders: mpsc::UnboundedSender<Order>,
    ) -> Self {
        Self {
            id,
            fence,
            attempt,
            backoff,
            lost,
            orders,
            is_begun: false,
            is_settled: AtomicBool::new(false),
        }
    }

    /// Says that the job is done.
    ///
    /// May be called again after an error. When dropped, the job is done or still in flight.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer: the job is extended still.
    pub async fn ack(&self) -> Result<Settled> {
        self.settle(Outcome::Done).await
    }

    /// Says that the job has failed; it is tried again after the backoff of its attempt.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub async fn fail(&self, reason: impl Into<String>) -> Result<Settled> {
        self.retry(self.backoff.after(self.attempt), reason).await
    }

    /// Says that the job has failed; it is tried again after so long, at most 28 days.
    ///
    /// # Errors
    /// As [`ack`](Self::ack); [`Invalid`](crate::ErrorKind::Invalid) for more than 28 days.
    pub async fn retry(&self, after: Duration, reason: impl Into<String>) -> Result<Settled> {
        let reason = reason.into();
        self.settle(Outcome::Retry { after, reason }).await
    }

    /// Gives the job back untried: it comes again at once, and the attempt does not count.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub async fn give_back(&self) -> Result<Settled> {
        self.settle(Outcome::Back).await
    }

    /// Says that the job can never be done: it becomes a dead letter at once.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    pub async fn dead(&self, reason: impl Into<String>) -> Result<Settled> {
        let reason = reason.into();
        self.settle(Outcome::Dead { reason }).await
    }

    /// Whether another may have the job by now: its lease could not be extended.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Completes when another may have the job. Cancel safe.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // Without a worker nobody extends it.
        let _gone = lost.wait_for(|lost| *lost).await;
    }

    async fn settle(&self, outcome: Outcome) -> Result<Settled> {
        outcome.check()?;
        if self.is_settled.load(Ordering::Acquire) {
            return Ok(Settled::Lost);
        }
        let (reply, answer) = oneshot::channel();
        let order = Order::Settle {
            id: Arc::clone(&self.id),
            fence: self.fence,
            outcome,
            reply: Some(reply),
        };
        let gone = || Error::new(ErrorKind::Unavailable, "the worker has ended");
        self.orders.send(order).map_err(|_| gone())?;
        let settled = answer.await.map_err(|_| gone())??;
        self.is_settled.store(true, Ordering::Release);
        Ok(settled.into())
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if *self.is_settled.get_mut() {
            return;
        }
        let outcome = if self.is_begun {
            Outcome::Retry {
                after: self.backoff.after(self.attempt),
                reason: "dropped".to_owned(),
            }
        } else {
            Outcome::Back
        };
        let order = Order::Settle {
            id: Arc::clone(&self.id),
            fence: self.fence,
            outcome,
            reply: None,
        };
        // Without a worker the lease ends by itself.
        drop(self.orders.send(order));
    }
}

impl<T> Delivery<T> {
    pub(super) fn new(job: Job<T>, receipt: Receipt) -> Self {
        Self { job, receipt }
    }

    /// Somebody has it: to drop it is a failure from now on.
    pub(super) fn begin(&mut self) {
        self.receipt.is_begun = true;
    }

    /// The job.
    pub fn job(&self) -> &Job<T> {
        &self.job
    }

    /// The job and the duty, apart.
    pub fn split(self) -> (Job<T>, Receipt) {
        (self.job, self.receipt)
    }
}

impl<T> std::ops::Deref for Delivery<T> {
    type Target = Receipt;

    fn deref(&self) -> &Receipt {
        &self.receipt
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("id", &self.id)
            .field("fence", &self.fence)
            .field("attempt", &self.attempt)
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}
