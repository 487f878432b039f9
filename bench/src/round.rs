//! One round of callers that call in a loop.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use crate::Outcome;
use crate::latency::Latencies;
use crate::measure::{Measured, Round};

/// Every caller is a task; a call gets its caller's number.
pub(crate) async fn on_tasks<C, F>(call: Arc<C>, round: Round) -> Outcome<Measured>
where
    C: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Outcome<()>> + Send + 'static,
{
    let start = Instant::now();
    let end = start + round.length;
    let tasks: Vec<_> = (0..round.callers)
        .map(|caller| {
            let call = Arc::clone(&call);
            tokio::spawn(async move {
                let mut latencies = Latencies::new()?;
                loop {
                    let begin = Instant::now();
                    call(caller).await?;
                    let now = Instant::now();
                    latencies.record(now - begin);
                    if now >= end {
                        return Outcome::Ok(latencies);
                    }
                }
            })
        })
        .collect();
    let mut all = Latencies::new()?;
    for task in tasks {
        all.add(&task.await??)?;
    }
    Ok(Measured::new(&all, start.elapsed()))
}

/// Every caller is a thread of its own, so that calls which never wait leave the runtime's
/// threads to those who do. A call gets its caller's number and its own.
pub(crate) async fn on_threads<C>(call: Arc<C>, round: Round) -> Outcome<Measured>
where
    C: AsyncFn(usize, usize) -> Outcome<()> + Send + Sync + 'static,
{
    let start = Instant::now();
    let end = start + round.length;
    let runtime = Handle::current();
    let threads: Vec<_> = (0..round.callers)
        .map(|caller| {
            let (call, runtime) = (Arc::clone(&call), runtime.clone());
            tokio::task::spawn_blocking(move || {
                runtime.block_on(async {
                    let mut latencies = Latencies::new()?;
                    for number in 0.. {
                        let begin = Instant::now();
                        call(caller, number).await?;
                        let now = Instant::now();
                        latencies.record(now - begin);
                        if now >= end {
                            break;
                        }
                    }
                    Outcome::Ok(latencies)
                })
            })
        })
        .collect();
    let mut all = Latencies::new()?;
    for thread in threads {
        all.add(&thread.await??)?;
    }
    Ok(Measured::new(&all, start.elapsed()))
}
