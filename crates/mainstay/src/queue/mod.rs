//! Queues of jobs: each is handed to one worker, until it is done or dead.
//!
//! A job is delivered at least once. A worker extends what it has in flight; when it is lost, its
//! jobs come again within the lease and two seconds. Whoever was suspended and wakes up late can
//! neither acknowledge nor fail a job that another has got meanwhile: each delivery has a fence, and
//! the store refuses all but the latest. Send the fence along with what the job writes, as that of a
//! lock.
//!
//! ```
//! use mainstay::Mainstay;
//! use mainstay::queue::Pushed;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mainstay::Result<()> {
//! let stay = Mainstay::memory();
//! let reports = stay.queue::<String>("reports").max_attempts(5).build()?;
//! reports.push(&"march".to_owned()).await?;
//! let april = "april".to_owned();
//! let pushed = reports.job(&april).id("2026-04").key("plant-7").push().await?;
//! assert!(matches!(pushed, Pushed::Added { .. }));
//! let again = reports.job(&april).id("2026-04").push().await?;
//! assert!(matches!(again, Pushed::Duplicate { .. }));
//!
//! let mut worker = reports.worker().concurrency(4).start()?;
//! let delivery = worker.next().await.expect("the worker runs");
//! assert_eq!((delivery.job().data.as_str(), delivery.job().attempt), ("march", 1));
//! delivery.ack().await?;
//! worker.drain(std::time::Duration::from_secs(10)).await;
//! assert_eq!(reports.stats().await?.ready, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! `mainstay_queue_pushed_total{queue}`, `mainstay_queue_refused_total{queue, why}` (`duplicate` or
//! `full`), `mainstay_queue_deliveries_total{queue}`, `mainstay_queue_settled_total{queue, how}`
//! (`done`, `retry`, `back`, `dead`), `mainstay_queue_lost_total{queue}` of deliveries that a worker
//! has lost, `mainstay_queue_job_seconds{queue}` of handlers, and `mainstay_queue_in_flight`, what this
//! process has. The label is the name up to its first `/`.
//!
//! # Spans
//! `queue.job` (info) around each call of a handler, with the queue, the job's id, the attempt and
//! the fence. Deliveries that are lost and jobs that die are logged as warnings.

mod backoff;
mod builder;
mod content;
mod delivery;
mod handle;
mod job;
mod lease;
mod letters;
mod metrics;
mod order;
mod pump;
mod serve;
mod worker;

pub use builder::QueueBuilder;
pub use delivery::{Delivery, Job, Receipt, Settled};
pub use handle::{Pushed, Queue, QueueStats};
pub use job::NewJob;
pub use lease::{Leased, Outcome, Ticket};
pub use letters::DeadLetter;
pub use worker::{Worker, WorkerBuilder};
