//! A worker: takes jobs, extends what is in flight, and ends in order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::delivery::Delivery;
use super::handle::Shared;
use super::lease;
use super::order::Order;
use super::pump::Pump;
use crate::error::{Error, Result};

/// Defines a [`Worker`]; made by [`Queue::worker`](super::Queue::worker).
#[must_use]
pub struct WorkerBuilder<T> {
    queue: Arc<Shared<T>>,
    consumer: String,
    concurrency: usize,
    lease: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) grace: Duration,
}

impl<T> WorkerBuilder<T> {
    pub(super) fn new(queue: Arc<Shared<T>>) -> Self {
        Self {
            queue,
            consumer: format!("pid-{}", std::process::id()),
            concurrency: 8,
            lease: Duration::from_secs(30),
            deadline: None,
            grace: Duration::from_secs(10),
        }
    }

    /// What the worker is called, before a random part; for people. 1 to 100 graphic ASCII characters,
    /// default `pid-` and the process id.
    pub fn consumer(mut self, service: impl Into<String>) -> Self {
        self.consumer = service.into();
        self
    }

    /// How many jobs are in flight at most; 1 to 1,000, default 8.
    ///
    /// Jobs are taken several with one call, and acknowledged so. A job that may take the process with it
    /// is best worked on alone: a crash is a failed attempt of all that are in flight.
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.concurrency = jobs;
        self
    }

    /// How long a job stays in flight when its worker is lost; 100 ms to 24 h, default 30 s. While the
    /// worker lives it is extended every third of that, however long the job takes.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handler of [`serve`](Worker::serve) may take: beyond that it is dropped, and the
    /// attempt has failed. Default no limit.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long [`serve`](Worker::serve) waits for handlers at its end; default 10 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Starts to take jobs. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when something is out of its range.
    pub fn start(self) -> Result<Worker<T>>
    where
        T: Send + 'static,
    {
        if !(1..=1_000).contains(&self.concurrency) {
            return Err(Error::invalid("concurrency of a worker must be 1 to 1000"));
        }
        let consumer = format!("{}-{}", self.consumer, crate::random::token());
        lease::check_consumer(&consumer)?;
        let lease = lease::lease(self.lease)?;
        let (orders, received) = mpsc::unbounded_channel();
        let (give, deliveries) = mpsc::unbounded_channel();
        let pump = Pump::new(
            Arc::clone(&self.queue),
            &consumer,
            (self.concurrency, lease),
            orders.clone(),
            give,
        );
        Ok(Worker {
            task: tokio::spawn(pump.run(received)),
            queue: self.queue,
            consumer,
            deadline: self.deadline,
            grace: self.grace,
            deliveries,
            orders,
        })
    }
}

/// Takes jobs for as long as it lives; made by [`WorkerBuilder::start`].
///
/// It looks for jobs when it is called, when one is due, and each second, and goes on by itself when
/// the backend was away, or has lost all its data. Dropping it gives back what was taken and not handed
/// out; deliveries that are out are extended until they are settled.
pub struct Worker<T> {
    pub(super) queue: Arc<Shared<T>>,
    consumer: String,
    pub(super) deadline: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) deliveries: mpsc::UnboundedReceiver<Delivery<T>>,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

impl<T> Worker<T> {
    /// What it is called in the store.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// The next job. `None` only after the runtime has ended what takes them. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery<T>> {
        let mut delivery = self.deliveries.recv().await?;
        delivery.begin();
        Some(delivery)
    }

    /// Takes no more, waits until all that is in flight is settled, at most for `grace`, and gives the
    /// rest back at once, without counting the attempt. Those deliveries are lost.
    ///
    /// When dropped, goes on in the background.
    pub async fn drain(mut self, grace: Duration) {
        self.stop(Some(grace));
        let task = &mut self.task;
        let _ended = task.await;
    }

    /// Begins to end, and gives back what was not handed out.
    pub(super) fn stop(&mut self, grace: Option<Duration>) {
        self.deliveries.close();
        while let Ok(untouched) = self.deliveries.try_recv() {
            drop(untouched);
        }
        // It has ended already without a runtime.
        drop(self.orders.send(Order::Stop { grace }));
    }

    pub(super) async fn ended(mut self) {
        let task = &mut self.task;
        let _ended = task.await;
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.stop(None);
    }
}

impl<T> fmt::Debug for WorkerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("queue", &self.queue.name)
            .field("concurrency", &self.concurrency)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("queue", &self.queue.name)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}
