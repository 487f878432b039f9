//! One run for all who ask meanwhile, whoever of them stays.

use std::sync::Arc;

use mainstay::Result;
use mainstay::cache::Cache;
use tokio::sync::Semaphore;

use crate::{Runs, cache};

/// Tells when a body has begun, and lets it end.
#[derive(Debug, Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            begun: closed(),
            open: closed(),
        }
    }

    async fn pass(&self) {
        self.begun.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    /// Returns when a body has begun, which then waits in [`pass`](Self::pass).
    async fn entered(&self) {
        self.begun.acquire().await.unwrap().forget();
    }
}

#[mainstay::cached(cache = values, key = key)]
async fn slow(values: Cache<u64>, key: &str, runs: Runs, gate: Gate) -> Result<u64> {
    runs.add();
    gate.pass().await;
    Ok(7)
}

#[tokio::test]
async fn callers_that_come_meanwhile_share_one_run() {
    let (values, runs, gate) = (cache(), Runs::default(), Gate::new());
    let callers: Vec<_> = (0..16)
        .map(|_| tokio::spawn(slow(values.clone(), "k", runs.clone(), gate.clone())))
        .collect();
    gate.entered().await;
    // Enough for a run of every caller: only what is shared keeps them at one.
    gate.open.add_permits(16);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), 7);
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_run_goes_on_without_the_caller_that_began_it() {
    let (values, runs, gate) = (cache(), Runs::default(), Gate::new());
    let ask = || slow(values.clone(), "k", runs.clone(), gate.clone());
    let first = tokio::spawn(ask());
    gate.entered().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = tokio::spawn(ask());
    gate.open.add_permits(1);
    assert_eq!(second.await.unwrap().unwrap(), 7);
    assert_eq!(runs.count(), 1);
}
