//! One load a key at a time, in a task that outlives its callers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;

/// The loads that are under way.
///
/// Dropping it stops them.
pub(super) struct Flights<T> {
    by_key: Arc<Mutex<ByKey<T>>>,
    tasks: Mutex<JoinSet<()>>,
}

type ByKey<T> = HashMap<StoreKey, Outcome<T>>;

/// `None` until the load has ended.
type Outcome<T> = watch::Receiver<Option<Result<T>>>;

impl<T> Flights<T> {
    pub(super) fn new() -> Self {
        Self {
            by_key: Arc::default(),
            tasks: Mutex::default(),
        }
    }

    /// Whoever asks for the key from now on does not get the outcome of a load that is under way.
    pub(super) fn detach(&self, key: &StoreKey) {
        locked(&self.by_key).remove(key);
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Waits for the load of `key` that is under way; if there is none, starts `load`.
    ///
    /// Cancel safe: a load goes on without its callers.
    pub(super) async fn join<Fut>(&self, key: &StoreKey, load: impl FnOnce() -> Fut) -> Result<T>
    where
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let (mut outcome, landing) = self.board(key);
        if let Some(landing) = landing {
            self.start(landing, load());
        }
        let ended = outcome.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(ended)) => ended.clone(),
            Ok(None) | Err(_) => Err(Error::new(
                ErrorKind::Loader,
                "load was abandoned: the runtime is shutting down",
            )),
        }
    }

    /// The load that is under way, or a new one that the caller has to start.
    fn board(&self, key: &StoreKey) -> (Outcome<T>, Option<Landing<T>>) {
        let mut by_key = locked(&self.by_key);
        if let Some(outcome) = by_key.get(key) {
            return (outcome.clone(), None);
        }
        let (sender, outcome) = watch::channel(None);
        by_key.insert(key.clone(), outcome.clone());
        let landing = Landing {
            key: key.clone(),
            by_key: Arc::clone(&self.by_key),
            sender,
        };
        (outcome, Some(landing))
    }

    fn start(&self, landing: Landing<T>, load: impl Future<Output = Result<T>> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let landing = landing;
            landing.land(load.await);
        });
    }
}

/// Takes a load out of the map when it has ended, however it did, unless it was detached.
struct Landing<T> {
    key: StoreKey,
    by_key: Arc<Mutex<ByKey<T>>>,
    sender: watch::Sender<Option<Result<T>>>,
}

impl<T> Landing<T> {
    /// Out of the map first: who sees the outcome and asks again starts anew.
    fn land(&self, ended: Result<T>) {
        self.leave();
        self.sender.send_replace(Some(ended));
    }

    fn leave(&self) {
        let mut by_key = locked(&self.by_key);
        let own = |outcome: &Outcome<T>| outcome.same_channel(&self.sender.subscribe());
        if by_key.get(&self.key).is_some_and(own) {
            by_key.remove(&self.key);
        }
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A panic elsewhere leaves the map whole: each change is one call.
fn locked<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;
    use crate::key::{Key, Keyspace, Name};

    fn key() -> StoreKey {
        let name = Name::new("c").unwrap();
        Keyspace::default().cache(&name, &Key::new("k").unwrap())
    }

    async fn waits(gate: oneshot::Receiver<u32>) -> Result<u32> {
        gate.await
            .map_err(|source| Error::with_source(ErrorKind::Loader, "gate closed", source))
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_load() {
        let flights = Flights::new();
        let loads = AtomicU32::new(0);
        let (open, gate) = oneshot::channel();
        let own = key();
        let first = flights.join(&own, || {
            loads.fetch_add(1, Ordering::Relaxed);
            waits(gate)
        });
        let second = flights.join(&own, || {
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
        let flights = Flights::new();
        let (open, gate) = oneshot::channel();
        let own = key();
        let mut caller = Box::pin(flights.join(&own, || waits(gate)));
        assert!(futures_util::poll!(&mut caller).is_pending());
        drop(caller);
        let mut next = Box::pin(flights.join(&own, || async { Ok(0) }));
        assert!(futures_util::poll!(&mut next).is_pending());
        open.send(7).unwrap();
        assert_eq!(next.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_error_reaches_every_waiter_and_the_next_caller_loads_again() {
        let flights = Flights::<u32>::new();
        let own = key();
        let fail = || async { Err(Error::new(ErrorKind::Loader, "no")) };
        let (first, second) = tokio::join!(flights.join(&own, fail), flights.join(&own, fail));
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Loader);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::Loader);
        assert_eq!(flights.join(&own, || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_detached_load_serves_only_those_who_asked_before() {
        let flights = Flights::new();
        let (open, gate) = oneshot::channel();
        let own = key();
        let mut before = Box::pin(flights.join(&own, || waits(gate)));
        assert!(futures_util::poll!(&mut before).is_pending());
        flights.detach(&own);

        let (open_new, gate_new) = oneshot::channel();
        let mut after = Box::pin(flights.join(&own, || waits(gate_new)));
        assert!(futures_util::poll!(&mut after).is_pending());
        open.send(1).unwrap();
        assert_eq!(before.await.unwrap(), 1);

        let mut joined = Box::pin(flights.join(&own, || async { Ok(3) }));
        assert!(futures_util::poll!(&mut joined).is_pending());
        open_new.send(2).unwrap();
        assert_eq!((after.await.unwrap(), joined.await.unwrap()), (2, 2));
    }

    #[tokio::test]
    async fn a_load_that_panics_leaves_nothing_behind() {
        let flights = Flights::<u32>::new();
        let own = key();
        let ended = flights.join(&own, || async { panic!("in a load") }).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Loader);
        assert_eq!(flights.join(&own, || async { Ok(7) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn dropping_the_flights_stops_their_loads() {
        let flights = Flights::new();
        let (open, gate) = oneshot::channel();
        let own = key();
        let mut caller = Box::pin(flights.join(&own, || waits(gate)));
        assert!(futures_util::poll!(&mut caller).is_pending());
        drop(caller);
        drop(flights);
        let mut open = open;
        open.closed().await;
    }
}
