//! One load a key at a time, in a task that outlives its callers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backend::unpoisoned::lock;
use crate::error::{Error, ErrorKind, Result};

/// The loads that are under way, by key.
pub(super) struct Loads<T>(Mutex<HashMap<Box<str>, Begun<T>>>);

/// A load with the number that it began at.
type Begun<T> = (u64, Outcome<T>);

/// `None` until the load has ended.
type Outcome<T> = watch::Receiver<Option<Result<T>>>;

impl<T> Default for Loads<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Loads<T> {
    /// Whoever asks for the key from now on does not get the outcome of a load that is under way.
    pub(super) fn detach(&self, key: &str) {
        lock(&self.0).remove(key);
    }

    /// The same for every key.
    pub(super) fn detach_all(&self) {
        lock(&self.0).clear();
    }
}

/// Loads, and the tasks that they run in. Dropping it stops them.
pub(super) struct Flights<T> {
    loads: Arc<Loads<T>>,
    tasks: Mutex<JoinSet<()>>,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(super) fn new(loads: Arc<Loads<T>>) -> Self {
        Self {
            loads,
            tasks: Mutex::default(),
        }
    }

    /// Waits for the load of `key` that is under way and began at the same number of changes
    /// elsewhere; if there is none, starts `load`.
    ///
    /// Cancel safe: a load goes on without its callers.
    pub(super) async fn join<Fut>(
        &self,
        key: &str,
        changes: u64,
        load: impl FnOnce() -> Fut,
    ) -> Result<T>
    where
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let (mut outcome, landing) = self.board(key, changes);
        match landing {
            Some(landing) => self.start(landing, load()),
            // What it holds is not needed for as long as the other load goes on.
            None => drop(load),
        }
        let ended = outcome.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(ended)) => ended.clone(),
            Ok(None) | Err(_) => Err(Error::new(
                ErrorKind::Loader,
                "load was abandoned: its task ended before it",
            )),
        }
    }

    /// Starts `load` unless one of the key is under way, and waits for neither.
    pub(super) fn start_alone<Fut>(&self, key: &str, changes: u64, load: impl FnOnce() -> Fut)
    where
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        if let (_, Some(landing)) = self.board(key, changes) {
            self.start(landing, load());
        }
    }

    /// The load that is under way, or a new one that the caller has to start.
    fn board(&self, key: &str, changes: u64) -> (Outcome<T>, Option<Landing<T>>) {
        let mut loads = lock(&self.loads.0);
        match loads.get(key) {
            Some((began_at, outcome)) if *began_at == changes => return (outcome.clone(), None),
            Some(_) | None => {}
        }
        let (sender, outcome) = watch::channel(None);
        loads.insert(key.into(), (changes, outcome.clone()));
        let landing = Landing {
            key: key.into(),
            loads: Arc::clone(&self.loads),
            sender,
        };
        (outcome, Some(landing))
    }

    fn start(&self, landing: Landing<T>, load: impl Future<Output = Result<T>> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let landing = landing;
            landing.land(load.await);
        });
    }
}

/// Takes a load out of the map when it has ended, however it did, unless it was detached.
struct Landing<T> {
    key: Box<str>,
    loads: Arc<Loads<T>>,
    sender: watch::Sender<Option<Result<T>>>,
}

impl<T> Landing<T> {
    /// Out of the map first: who sees the outcome and asks again starts anew.
    fn land(&self, ended: Result<T>) {
        self.leave();
        self.sender.send_replace(Some(ended));
    }

    fn leave(&self) {
        let mut loads = lock(&self.loads.0);
        let load = loads.get(&self.key);
        if load.is_some_and(|(_, outcome)| outcome.same_channel(&self.sender.subscribe())) {
            loads.remove(&self.key);
        }
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    fn flights() -> Flights<u32> {
        Flights::new(Arc::default())
    }

    async fn waits(gate: oneshot::Receiver<u32>) -> Result<u32> {
        gate.await
            .map_err(|source| Error::with_source(ErrorKind::Loader, "gate closed", source))
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_load() {
        let flights = flights();
        let loads = AtomicU32::new(0);
        let (open, gate) = oneshot::channel();
        let first = flights.join("k", 0, || {
            loads.fetch_add(1, Ordering::Relaxed);
            waits(gate)
        });
        let second = flights.join("k", 0, || {
            loads.fetch_add(1, Ordering::Relaxed);
            async { Ok(0) }
        });
        let opener = async { open.send(7).unwrap() };
        let (first, second, ()) = tokio::join!(first, second, opener);
        assert_eq!((first.unwrap(), second.unwrap()), (7, 7));
        assert_eq!(loads.into_inner(), 1);
    }

    #[tokio::test]
    async fn a_load_goes_on_without_its_caller() {
        let flights = flights();
        let (open, gate) = oneshot::channel();
        let mut caller = Box::pin(flights.join("k", 0, || waits(gate)));
        assert!(futures_util::poll!(&mut caller).is_pending());
        drop(caller);
        let mut next = Box::pin(flights.join("k", 0, || async { Ok(0) }));
        assert!(futures_util::poll!(&mut next).is_pending());
        open.send(7).unwrap();
        assert_eq!(next.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_error_reaches_every_waiter_and_the_next_caller_loads_again() {
        let flights = flights();
        let fail = || async { Err(Error::new(ErrorKind::Loader, "no")) };
        let (first, second) = tokio::join!(flights.join("k", 0, fail), flights.join("k", 0, fail));
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Loader);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::Loader);
        assert_eq!(flights.join("k", 0, || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_detached_load_serves_only_those_who_asked_before() {
        let flights = flights();
        let (open, gate) = oneshot::channel();
        let mut before = Box::pin(flights.join("k", 0, || waits(gate)));
        assert!(futures_util::poll!(&mut before).is_pending());
        flights.loads.detach("k");

        let (open_new, gate_new) = oneshot::channel();
        let mut after = Box::pin(flights.join("k", 0, || waits(gate_new)));
        assert!(futures_util::poll!(&mut after).is_pending());
        open.send(1).unwrap();
        assert_eq!(before.await.unwrap(), 1);

        let mut joined = Box::pin(flights.join("k", 0, || async { Ok(3) }));
        assert!(futures_util::poll!(&mut joined).is_pending());
        open_new.send(2).unwrap();
        assert_eq!((after.await.unwrap(), joined.await.unwrap()), (2, 2));
    }

    #[tokio::test]
    async fn a_load_that_panics_leaves_nothing_behind() {
        let flights = flights();
        let ended = flights.join("k", 0, || async { panic!("in a load") }).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Loader);
        assert_eq!(flights.join("k", 0, || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn dropping_the_flights_stops_their_loads() {
        let flights = flights();
        let (open, gate) = oneshot::channel();
        let mut caller = Box::pin(flights.join("k", 0, || waits(gate)));
        assert!(futures_util::poll!(&mut caller).is_pending());
        drop(caller);
        drop(flights);
        let mut open = open;
        open.closed().await;
    }
}
