//! The attribute, on the memory backend and against the compiler.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without fails it"
)]

mod errors;
mod functions;
mod methods;
mod refused;
mod sharing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay::Mainstay;
use mainstay::cache::Cache;

/// Counts how often a body ran.
#[derive(Debug, Clone, Default)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn cache<T>() -> Cache<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
{
    Mainstay::memory().cache("values").build().unwrap()
}
