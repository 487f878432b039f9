//! One call of a loader for all keys whose turn to be loaded comes at the same time.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use crate::backend::unpoisoned::lock;

type BoxError = Box<dyn StdError + Send + Sync>;
type Outcome<T> = Result<T, BoxError>;
type Call<K, T> = Box<dyn Fn(Vec<K>) -> BoxFuture<'static, Outcome<Vec<T>>> + Send + Sync>;

/// Waits until each of its seats has asked or left, and then calls the loader once.
pub(super) struct Batch<K, T> {
    call: Call<K, T>,
    asked: Mutex<Vec<(K, oneshot::Sender<Outcome<T>>)>>,
    /// Seats that may still ask.
    expected: watch::Sender<usize>,
}

/// One key's place in a batch.
pub(super) struct Seat<K, T> {
    batch: Arc<Batch<K, T>>,
    key: K,
    has_left: AtomicBool,
}

impl<K: Send + 'static, T: Send + 'static> Batch<K, T> {
    pub(super) fn new<F, Fut, E>(load: F, seats: usize) -> Arc<Self>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let call = move |keys| -> BoxFuture<'static, Outcome<Vec<T>>> {
            let loading = load(keys);
            Box::pin(async move { loading.await.map_err(Into::into) })
        };
        Arc::new(Self {
            call: Box::new(call),
            asked: Mutex::default(),
            expected: watch::Sender::new(seats),
        })
    }

    /// Calls the loader for everybody who has asked. One that panics is everybody's failure.
    async fn run(&self) {
        let (keys, replies): (Vec<_>, Vec<_>) = lock(&self.asked).drain(..).unzip();
        let wanted = keys.len();
        match (self.call)(keys).await {
            Ok(values) if values.len() == wanted => {
                for (reply, value) in replies.into_iter().zip(values) {
                    // One who does not wait any more needs no value.
                    let _gone = reply.send(Ok(value));
                }
            }
            Ok(values) => {
                let given = values.len();
                let message = format!("{wanted} keys were to be loaded, and {given} values came");
                share(replies, &Arc::from(BoxError::from(message)));
            }
            Err(error) => share(replies, &Arc::from(error)),
        }
    }
}

fn share<T>(replies: Vec<oneshot::Sender<Outcome<T>>>, error: &Arc<dyn StdError + Send + Sync>) {
    for reply in replies {
        let shared = SharedError(Arc::clone(error));
        // As above.
        let _gone = reply.send(Err(Box::new(shared)));
    }
}

impl<K: Clone + Send + 'static, T: Send + 'static> Seat<K, T> {
    pub(super) fn new(batch: Arc<Batch<K, T>>, key: K) -> Self {
        Self {
            batch,
            key,
            has_left: AtomicBool::new(false),
        }
    }

    /// The others need not wait for this one: its turn comes later, if at all.
    pub(super) fn leave(&self) {
        if !self.has_left.swap(true, Ordering::SeqCst) {
            self.batch.expected.send_modify(|expected| *expected -= 1);
        }
    }

    /// The value of this seat's key, as part of the one call or, who comes late, by one of its own.
    pub(super) async fn load(self: Arc<Self>) -> Outcome<Option<T>> {
        if self.has_left.swap(true, Ordering::SeqCst) {
            let mut values = (self.batch.call)(vec![self.key.clone()]).await?;
            return match (values.pop(), values.len()) {
                (Some(value), 0) => Ok(Some(value)),
                _ => Err("one key was to be loaded, and not one value came".into()),
            };
        }
        let (reply, answer) = oneshot::channel();
        let is_first = {
            let mut asked = lock(&self.batch.asked);
            asked.push((self.key.clone(), reply));
            asked.len() == 1
        };
        self.batch.expected.send_modify(|expected| *expected -= 1);
        if is_first {
            let mut expected = self.batch.expected.subscribe();
            let all_asked = expected.wait_for(|expected| *expected == 0).await;
            drop(all_asked?);
            self.batch.run().await;
        }
        // Whoever called for all was dropped: its time was over.
        let given_up = |_gone| BoxError::from("the call for several keys was given up");
        answer.await.map_err(given_up)?.map(Some)
    }
}

impl<K, T> Drop for Seat<K, T> {
    fn drop(&mut self) {
        if !self.has_left.swap(true, Ordering::SeqCst) {
            self.batch.expected.send_modify(|expected| *expected -= 1);
        }
    }
}

/// One error of several keys.
#[derive(Debug)]
struct SharedError(Arc<dyn StdError + Send + Sync>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn doubling(
        calls: Arc<AtomicU32>,
    ) -> impl Fn(Vec<u32>) -> BoxFuture<'static, Result<Vec<u32>, BoxError>> {
        move |keys| {
            calls.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { Ok(keys.into_iter().map(|key| key * 2).collect()) })
        }
    }

    #[tokio::test]
    async fn who_asks_is_loaded_together_once_the_others_have_left() {
        let calls = Arc::new(AtomicU32::new(0));
        let batch = Batch::new(doubling(Arc::clone(&calls)), 4);
        let seats: Vec<_> = (1..=4)
            .map(|key| Arc::new(Seat::new(Arc::clone(&batch), key)))
            .collect();
        let [first, second, waits, gone] = seats.try_into().ok().unwrap();
        let mut first = Box::pin(first.load());
        let mut second = Box::pin(second.load());
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        waits.leave();
        drop(gone);
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.unwrap(), second.unwrap()), (Some(2), Some(4)));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(waits.load().await.unwrap(), Some(6));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_loader_that_miscounts_fails_for_everybody() {
        let batch = Batch::new(
            |_keys: Vec<u32>| async { Ok::<Vec<u32>, BoxError>(vec![1]) },
            2,
        );
        let loads = [1, 2].map(|key| Arc::new(Seat::new(Arc::clone(&batch), key)).load());
        for outcome in futures_util::future::join_all(loads).await {
            let message = outcome.unwrap_err().to_string();
            assert_eq!(message, "2 keys were to be loaded, and 1 values came");
        }
    }
}
