//! A loader that a test holds back.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Subject;

pub(super) type Loading<T> = Pin<Box<dyn Future<Output = Result<T, io::Error>> + Send>>;

/// Hands out loaders that wait for [`open`](Self::open), and counts how many have started.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    started: Arc<watch::Sender<u32>>,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    pub(super) fn closed() -> Self {
        Self {
            started: Arc::new(watch::Sender::new(0)),
            open: Arc::new(watch::Sender::new(false)),
        }
    }

    /// A loader of `outcome`; a text in `Err` is its error.
    pub(super) fn loader<T: Send + 'static>(
        &self,
        outcome: Result<T, &'static str>,
    ) -> impl FnOnce() -> Loading<T> + Send + use<T> {
        let gate = self.clone();
        move || {
            Box::pin(async move {
                gate.started.send_modify(|started| *started += 1);
                gate.opened().await;
                outcome.map_err(io::Error::other)
            })
        }
    }

    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    async fn opened(&self) {
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open)
            .await
            .expect("the gate is alive");
    }

    /// Waits until a loader has started.
    pub(super) async fn started(&self) {
        let mut started = self.started.subscribe();
        let seen = timeout(Subject::BOUND, started.wait_for(|started| *started > 0));
        seen.await
            .expect("a loader starts")
            .expect("the gate is alive");
    }

    /// How many loaders have started.
    pub(super) fn count(&self) -> u32 {
        *self.started.borrow()
    }
}
