//! Works on jobs by a handler.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::delivery::{Delivery, Job, Receipt};
use super::handle::Shared;
use super::worker::Worker;
use super::{Outcome, metrics};

/// Pause before the store is told again what became of a job.
const PAUSE: Duration = Duration::from_millis(200);

/// What came of a handler.
enum End {
    Outcome(Outcome),
    /// Another may have the job.
    Lost,
}

impl<T: Send + 'static> Worker<T> {
    /// Works on jobs by `handler`, each in a task of its own, until `shutdown` completes.
    ///
    /// A job is done when its handler returns `Ok`, and only then. `Err`, a panic and more time than
    /// the worker's `deadline` are a failed attempt: the job comes again after the backoff, or is dead after
    /// the last. A handler whose delivery is lost is dropped, since another has the job then.
    ///
    /// After `shutdown` no more jobs are taken; handlers have the worker's `grace` to end, what is not
    /// done by then is dropped and given back at once, without counting the attempt. When this is dropped,
    /// handlers are dropped, too, and their attempts have failed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use mainstay::Mainstay;
    /// use tokio::sync::Notify;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let queue = Mainstay::memory().queue::<u32>("squares").build()?;
    /// queue.push(&12).await?;
    /// let done = Arc::new(Notify::new());
    /// let worker = queue.worker().concurrency(16).start()?;
    /// worker
    ///     .serve(done.notified(), |job| {
    ///         let done = done.clone();
    ///         async move {
    ///             let square = job.data.checked_mul(job.data).ok_or("too large")?;
    ///             assert_eq!(square, 144);
    ///             done.notify_one();
    ///             Ok::<_, &str>(())
    ///         }
    ///     })
    ///     .await;
    /// let stats = queue.stats().await?;
    /// assert_eq!((stats.ready, stats.in_flight), (0, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve<F, Fut, E>(mut self, shutdown: impl Future<Output = ()>, handler: F)
    where
        F: Fn(Job<T>) -> Fut,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let mut handlers = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                delivery = self.next() => match delivery {
                    Some(delivery) => {
                        let (receipt, work) = self.begin(delivery, &handler);
                        handlers.spawn(handle(Arc::clone(&self.queue), receipt, work));
                    }
                    None => break,
                },
                Some(_) = handlers.join_next(), if !handlers.is_empty() => {}
            }
        }
        // The task gives back what is not done by then, and each handler hears of it.
        self.stop(Some(self.grace));
        while handlers.join_next().await.is_some() {}
        self.ended().await;
    }

    /// The work of one job, and what is to be told of it.
    fn begin<F, Fut, E>(
        &self,
        delivery: Delivery<T>,
        handler: &F,
    ) -> (
        Receipt,
        impl Future<Output = End> + Send + 'static + use<T, F, Fut, E>,
    )
    where
        F: Fn(Job<T>) -> Fut,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let (job, receipt) = delivery.split();
        let span = tracing::info_span!(
            "queue.job",
            queue = %self.queue.name,
            id = job.id,
            attempt = job.attempt,
            fence = job.fence
        );
        let retry = self.queue.backoff.after(job.attempt);
        let (clock, deadline) = (Arc::clone(&self.queue.clock), self.deadline);
        // A handler may panic before its future is there.
        let work = std::panic::catch_unwind(AssertUnwindSafe(|| handler(job)));
        let failed = move |reason: String| {
            End::Outcome(Outcome::Retry {
                after: retry,
                reason,
            })
        };
        let work = async move {
            let Ok(work) = work else {
                return failed("the handler panicked".to_owned());
            };
            let late = async {
                match deadline {
                    Some(deadline) => clock.sleep_until(clock.now().after(deadline)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ended = AssertUnwindSafe(work).catch_unwind() => match ended {
                    Ok(Ok(())) => End::Outcome(Outcome::Done),
                    Ok(Err(error)) => failed(error.to_string()),
                    Err(_) => failed("the handler panicked".to_owned()),
                },
                () = late => failed(format!("not done within {deadline:?}")),
            }
        };
        (receipt, work.instrument(span))
    }
}

async fn handle<T>(queue: Arc<Shared<T>>, receipt: Receipt, work: impl Future<Output = End>) {
    let begun = queue.clock.now();
    let end = tokio::select! {
        biased;
        () = receipt.lost() => End::Lost,
        end = work => end,
    };
    metrics::handled(&queue.name, queue.clock.now().since(begun));
    let End::Outcome(outcome) = end else {
        return;
    };
    // Until the store knows, or it is too late.
    while let Err(error) = told(&receipt, &outcome).await {
        tracing::warn!(queue = %queue.name, %error, "the end of a job is not told: trying again");
        let pause = queue.clock.now().after(PAUSE);
        tokio::select! {
            () = receipt.lost() => return,
            () = queue.clock.sleep_until(pause) => {}
        }
    }
}

async fn told(receipt: &Receipt, outcome: &Outcome) -> crate::error::Result<()> {
    let told = match outcome {
        Outcome::Done => receipt.ack().await,
        Outcome::Back => receipt.give_back().await,
        Outcome::Retry { after, reason } => receipt.retry(*after, reason.as_str()).await,
        Outcome::Dead { reason } => receipt.dead(reason.as_str()).await,
    };
    told.map(|_settled| ())
}
