//! Invalidations that a store has not heard of: kept, and sent before it is trusted again.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use super::cache::CacheStore;
use super::coherence::{Fence, Watchers};
use super::unpoisoned::lock;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;

/// Invalidations of one cache that are remembered one by one.
const MOST: usize = 10_000;

/// How often they are tried when nobody reads.
const RETRY: Duration = Duration::from_millis(500);

/// How many are sent at a time.
const AT_ONCE: usize = 64;

/// Something that is to be invalidated. Entries come before tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owed {
    Entry(StoreKey),
    Tag { counter: StoreKey, tag: StoreKey },
}

impl Owed {
    /// Until the guards are dropped nothing is kept that this may invalidate.
    pub(crate) fn fence<'a>(&'a self, watchers: &'a Watchers) -> (Fence<'a>, Option<Fence<'a>>) {
        match self {
            Self::Entry(key) => (watchers.fence(key.as_str()), None),
            Self::Tag { counter, tag } => (
                watchers.fence(counter.as_str()),
                Some(watchers.fence(tag.as_str())),
            ),
        }
    }

    /// Nothing that was read before counts any more.
    fn tell(&self, watchers: &Watchers) {
        match self {
            Self::Entry(key) => watchers.changed(key.as_str()),
            Self::Tag { counter, tag } => {
                watchers.changed(counter.as_str());
                watchers.changed(tag.as_str());
            }
        }
    }

    /// Tells the store; true if there was an entry.
    pub(crate) async fn send(&self, store: &dyn CacheStore) -> Result<bool> {
        match self {
            Self::Entry(key) => store.remove(key).await,
            Self::Tag { counter, tag } => store.invalidate_tag(counter, tag).await.map(|()| false),
        }
    }
}

/// What the store has not heard of that this process has invalidated, for one cache.
///
/// All handles of a cache in a process share it, and it outlives them for as long as the backend
/// is open.
#[derive(Debug, Default)]
pub(crate) struct Debts {
    ledger: Mutex<Ledger>,
    is_open: AtomicBool,
}

#[derive(Debug, Default)]
struct Ledger {
    /// With the number of the record: what is recorded anew is not paid by an old payment.
    owed: BTreeMap<Owed, u64>,
    records: u64,
    /// The payment that goes on: `None` until it has ended.
    round: Option<Round>,
    has_payer: bool,
}

type Round = watch::Receiver<Option<Result<()>>>;

impl Debts {
    /// Remembers an invalidation. When there is no room for more, everything is forgotten in favour
    /// of one that covers it; without such a one this says false.
    pub(crate) fn record(&self, owed: Owed, covering: Option<Owed>) -> bool {
        let mut ledger = lock(&self.ledger);
        let owed = if ledger.owed.len() < MOST || ledger.owed.contains_key(&owed) {
            owed
        } else if let Some(covering) = covering {
            ledger.owed.clear();
            covering
        } else {
            return false;
        };
        ledger.records += 1;
        let number = ledger.records;
        ledger.owed.insert(owed, number);
        self.is_open.store(true, Ordering::SeqCst);
        true
    }

    /// Sends what must be sent before these keys may be read: everything, if anything is owed on one
    /// of them or on a tag.
    ///
    /// Whoever asks while a payment goes on waits for it. Cancel safe.
    #[inline]
    pub(crate) async fn settle(
        self: &Arc<Self>,
        store: &Arc<dyn CacheStore>,
        keys: &[StoreKey],
    ) -> Result<()> {
        if self.is_open.load(Ordering::SeqCst) {
            self.settle_while(store, |ledger| ledger.concerns(keys))
                .await
        } else {
            Ok(())
        }
    }

    /// Whether something is owed on the key, or on a tag: what is read there may be old.
    #[inline]
    pub(crate) fn concerns(&self, key: &StoreKey) -> bool {
        self.is_open.load(Ordering::SeqCst)
            && lock(&self.ledger).concerns(std::slice::from_ref(key))
    }

    async fn settle_while(
        self: &Arc<Self>,
        store: &Arc<dyn CacheStore>,
        is_owed: impl Fn(&Ledger) -> bool,
    ) -> Result<()> {
        let is_owed = |debts: &Self| is_owed(&lock(&debts.ledger));
        while is_owed(self) {
            let mut round = self.join(store);
            let outcome = match round.wait_for(Option::is_some).await {
                Ok(ended) => ended.clone().unwrap_or(Ok(())),
                // The payment's task has ended with its runtime.
                Err(_) => Err(Error::new(ErrorKind::Unavailable, "invalidations are owed")),
            };
            if outcome.is_err() && is_owed(self) {
                return outcome;
            }
        }
        Ok(())
    }

    /// The payment that goes on, or a new one: in a task, so that it goes on though whoever has
    /// started it does not look at it any more.
    fn join(self: &Arc<Self>, store: &Arc<dyn CacheStore>) -> Round {
        let mut ledger = lock(&self.ledger);
        if let Some(round) = &ledger.round
            && round.has_changed().is_ok()
            && round.borrow().is_none()
        {
            return round.clone();
        }
        let (ending, round) = watch::channel(None);
        ledger.round = Some(round.clone());
        let (debts, store) = (Arc::clone(self), Arc::clone(store));
        tokio::spawn(async move {
            ending.send_replace(Some(debts.pay(&*store).await));
        });
        round
    }

    /// Sends everything, tags first; the first error if not all could be sent.
    ///
    /// One that cannot be sent does not keep the others back, which may be for other nodes; many
    /// that cannot do.
    async fn pay(&self, store: &dyn CacheStore) -> Result<()> {
        let all: Vec<_> = {
            let ledger = lock(&self.ledger);
            let records = ledger.owed.iter().rev();
            records
                .map(|(owed, number)| (owed.clone(), *number))
                .collect()
        };
        let unsent = AtomicUsize::new(0);
        let mut payments = stream::iter(all)
            .take_while(|_| ready(unsent.load(Ordering::SeqCst) < AT_ONCE))
            .map(async |(owed, number)| {
                match owed.send(store).await {
                    Ok(_) => {}
                    Err(error) if is_unsent(&error) => return Err(error),
                    // As for one who sends it at once, this is the last word.
                    Err(error) => {
                        tracing::error!(?owed, %error, "invalidation was refused: it is not kept");
                    }
                }
                // Only now: a load that goes on without the store serves whoever joins it.
                owed.tell(store.watchers());
                self.strike(&owed, number);
                Ok(())
            })
            .buffer_unordered(AT_ONCE);
        let mut outcome: Result<()> = Ok(());
        while let Some(paid) = payments.next().await {
            unsent.fetch_add(usize::from(paid.is_err()), Ordering::SeqCst);
            outcome = outcome.and(paid);
        }
        outcome
    }

    fn strike(&self, paid: &Owed, number: u64) {
        let mut ledger = lock(&self.ledger);
        if ledger.owed.get(paid) == Some(&number) {
            ledger.owed.remove(paid);
        }
        if ledger.owed.is_empty() {
            self.is_open.store(false, Ordering::SeqCst);
        }
    }

    /// Tries from time to time until nothing is owed any more or the store is gone; one task a
    /// process does.
    pub(crate) fn pay_later(self: &Arc<Self>, store: Weak<dyn CacheStore>, clock: Arc<dyn Clock>) {
        if std::mem::replace(&mut lock(&self.ledger).has_payer, true) {
            return;
        }
        let debts = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                clock.sleep_until(clock.now().after(RETRY)).await;
                let Some(store) = store.upgrade() else {
                    return;
                };
                // Whoever reads hears of an error; here there is another time.
                let everything = |ledger: &Ledger| !ledger.owed.is_empty();
                let outcome = debts.settle_while(&store, everything).await;
                let mut ledger = lock(&debts.ledger);
                if outcome.is_ok() && ledger.owed.is_empty() {
                    ledger.has_payer = false;
                    return;
                }
            }
        });
    }
}

impl Ledger {
    fn concerns(&self, keys: &[StoreKey]) -> bool {
        let is_tag = |(owed, _): (&Owed, _)| matches!(owed, Owed::Tag { .. });
        let is_owed = |key: &StoreKey| self.owed.contains_key(&Owed::Entry(key.clone()));
        self.owed.last_key_value().is_some_and(is_tag)
            || (!self.owed.is_empty() && keys.iter().any(is_owed))
    }
}

/// Whether an invalidation that failed so is to be sent again.
pub(crate) fn is_unsent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown)
}

/// The debts of each cache of a store, by its prefix.
#[derive(Debug, Default)]
pub(crate) struct AllDebts(Mutex<HashMap<Box<str>, Weak<Debts>>>);

impl AllDebts {
    /// Those of the keys that start with `prefix`.
    pub(crate) fn of(&self, prefix: &str) -> Arc<Debts> {
        let mut all = lock(&self.0);
        if let Some(known) = all.get(prefix).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, debts| debts.strong_count() > 0);
        let debts = Arc::default();
        all.insert(prefix.into(), Arc::downgrade(&debts));
        debts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory;
    use crate::clock::ManualClock;
    use crate::key::{Key, Keyspace, Name};

    fn key(text: &str) -> StoreKey {
        Keyspace::default().cache(&Name::new("c").unwrap(), &Key::new(text).unwrap())
    }

    fn entry(number: usize) -> Owed {
        Owed::Entry(key(&number.to_string()))
    }

    fn every_entry() -> Owed {
        Owed::Tag {
            counter: key("counter"),
            tag: key("every"),
        }
    }

    #[tokio::test]
    async fn debts_are_bounded_and_end() {
        let debts = Debts::default();
        assert!((0..MOST).all(|number| debts.record(entry(number), None)));
        assert!(debts.record(entry(0), None));
        assert!(!debts.record(entry(MOST), None));
        assert!(debts.record(entry(MOST), Some(every_entry())));
        assert_eq!(lock(&debts.ledger).owed.len(), 1);
        let store = memory::open(Arc::new(ManualClock::new())).cache;
        let debts = Arc::new(debts);
        debts.settle(&store, &[key("any")]).await.unwrap();
        assert!(lock(&debts.ledger).owed.is_empty());
        assert!(!debts.is_open.load(Ordering::SeqCst));
    }

    #[test]
    fn a_key_waits_for_its_own_debt_and_for_tags() {
        let debts = Debts::default();
        debts.record(entry(1), None);
        assert!(debts.concerns(&key("1")));
        assert!(!debts.concerns(&key("2")));
        debts.record(every_entry(), None);
        assert!(debts.concerns(&key("2")));
    }

    #[test]
    fn what_is_owed_again_is_not_paid_by_the_payment_of_before() {
        let debts = Debts::default();
        debts.record(entry(1), None);
        debts.record(entry(1), None);
        debts.strike(&entry(1), 1);
        assert!(debts.is_open.load(Ordering::SeqCst));
        debts.strike(&entry(1), 2);
        assert!(!debts.is_open.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_payment_goes_on_though_nobody_looks_at_it() {
        let debts = Arc::new(Debts::default());
        debts.record(entry(1), None);
        let store = memory::open(Arc::new(ManualClock::new())).cache;
        let keys = [key("1")];
        let mut dropped = Box::pin(debts.settle(&store, &keys));
        let mut idle = Box::pin(debts.settle(&store, &keys));
        assert!(futures_util::poll!(&mut dropped).is_pending());
        assert!(futures_util::poll!(&mut idle).is_pending());
        drop(dropped);
        debts.settle(&store, &keys).await.unwrap();
        assert!(!debts.is_open.load(Ordering::SeqCst));
    }

    #[test]
    fn handles_of_one_cache_share_their_debts() {
        let all = AllDebts::default();
        let (first, second) = (all.of("a:"), all.of("a:"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &all.of("b:")));
        assert_eq!(lock(&all.0).len(), 2);
        all.of("c:");
        assert_eq!(lock(&all.0).len(), 2, "nobody has b any more");
    }
}
