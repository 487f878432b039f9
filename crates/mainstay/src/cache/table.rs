//! Values that stay only while nothing has changed, and the reads that may add to them.
//!
//! A read boards before its bytes are sent and lands with what it has found. A change that is heard
//! of in between takes it off the table: what it lands is handed to those who boarded before the
//! change and is not kept. This is the one rule that keeps a near cache from holding what was
//! invalidated while it was being read.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::watch;

use crate::backend::unpoisoned::lock;
use crate::clock::Clock;

const STRIPES: usize = 64;

/// What a value takes in memory.
pub(super) trait Weigh: Clone + Send + Sync + 'static {
    fn bytes(&self) -> usize;
}

/// What an entry takes besides its key and value: the slot, the key's box, the value's counters.
const OVERHEAD_BYTES: usize = 160;

#[derive(Debug, Clone)]
pub(super) struct ByBytes;

impl<V: Weigh> Weighter<Box<str>, V> for ByBytes {
    fn weight(&self, key: &Box<str>, value: &V) -> u64 {
        (key.len() + value.bytes() + OVERHEAD_BYTES) as u64
    }
}

/// Values `V` by key, and reads under way that end with an `O`.
pub(super) struct Table<V, O> {
    values: Cache<Box<str>, V, ByBytes>,
    stripes: Box<[Mutex<Stripe<O>>]>,
    stripe_of: RandomState,
}

struct Stripe<O> {
    /// With the number that they began at.
    reads: HashMap<Box<str>, (u64, Outcome<O>)>,
    /// Keys that this process is changing, and how many calls do.
    fences: HashMap<Box<str>, usize>,
}

/// `None` until the read has landed.
pub(super) type Outcome<O> = watch::Receiver<Option<O>>;

impl<O> Default for Stripe<O> {
    fn default() -> Self {
        Self {
            reads: HashMap::new(),
            fences: HashMap::new(),
        }
    }
}

/// How to get what is not in the table.
pub(super) enum Boarding<'a, V: Weigh, O> {
    /// By reading it.
    Pilot(Landing<'a, V, O>),
    /// By waiting for a read that is under way; should its reader give up, by boarding again.
    Passenger(Outcome<O>),
}

/// How long a passenger waits before it reads for itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a passenger gets.
pub(super) enum Wait<O> {
    Landed(O),
    /// Nothing: the reader was dropped. Board again.
    GivenUp,
    /// Nothing yet: whoever reads may not be going on with it, and has not given it up either.
    TooLong,
}

/// Waits for a read that is under way.
pub(super) async fn wait<O: Clone>(mut outcome: Outcome<O>, clock: &dyn Clock) -> Wait<O> {
    let landed = async {
        let landed = outcome.wait_for(Option::is_some).await;
        landed.ok().and_then(|landed| landed.clone())
    };
    tokio::select! {
        biased;
        landed = landed => landed.map_or(Wait::GivenUp, Wait::Landed),
        () = clock.sleep_until(clock.now().after(PATIENCE)) => Wait::TooLong,
    }
}

impl<V: Weigh, O> Table<V, O> {
    pub(super) fn new(max_bytes: u64, typical_bytes: u64) -> Self {
        let items = usize::try_from(max_bytes / typical_bytes.max(1)).unwrap_or(usize::MAX);
        // Small tables in one piece: an entry larger than a piece is not kept.
        let shards = usize::try_from((max_bytes / (4 << 20)).clamp(1, 16)).unwrap_or(1);
        let options = OptionsBuilder::new()
            .shards(shards)
            .weight_capacity(max_bytes)
            .estimated_items_capacity(items.max(1))
            .build()
            .expect("invariant: both capacities are given");
        Self {
            values: Cache::with_options(
                options,
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            stripe_of: RandomState::new(),
        }
    }

    /// What is kept under the key, current or not.
    #[inline]
    pub(super) fn peek(&self, key: &str) -> Option<V> {
        self.values.get(key)
    }

    /// Joins the read that is under way if it began at the same number of changes elsewhere.
    pub(super) fn board(&self, key: &str, changes: u64) -> Boarding<'_, V, O> {
        let mut stripe = self.stripe(key);
        match stripe.reads.get(key) {
            Some((began_at, outcome)) if *began_at == changes => {
                return Boarding::Passenger(outcome.clone());
            }
            Some(_) | None => {}
        }
        let (sender, outcome) = watch::channel(None);
        stripe.reads.insert(key.into(), (changes, outcome));
        Boarding::Pilot(Landing {
            table: self,
            key: key.into(),
            sender,
        })
    }

    /// The entry has changed: what is kept goes, and what is being read will not be kept.
    pub(super) fn invalidate(&self, key: &str) {
        let mut stripe = self.stripe(key);
        stripe.reads.remove(key);
        self.values.remove(key);
    }

    /// Anything may have changed: what is being read will not be kept. What is kept is told apart
    /// by its marks.
    pub(super) fn ground(&self) {
        for stripe in &self.stripes {
            lock(stripe).reads.clear();
        }
    }

    /// Nothing is kept under the key until it is [unfenced](Self::unfence).
    pub(super) fn fence(&self, key: &str) {
        let mut stripe = self.stripe(key);
        *stripe.fences.entry(key.into()).or_default() += 1;
        stripe.reads.remove(key);
        self.values.remove(key);
    }

    pub(super) fn unfence(&self, key: &str) {
        let mut stripe = self.stripe(key);
        if let Some(fences) = stripe.fences.get_mut(key) {
            *fences -= 1;
            if *fences == 0 {
                stripe.fences.remove(key);
            }
        }
        stripe.reads.remove(key);
        self.values.remove(key);
    }

    /// What the kept values take, in bytes.
    pub(super) fn weight(&self) -> u64 {
        self.values.weight()
    }

    /// How many values are kept.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    fn stripe(&self, key: &str) -> MutexGuard<'_, Stripe<O>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        let index = self.stripe_of.hash_one(key) as usize % STRIPES;
        let stripe = self.stripes.get(index);
        lock(stripe.expect("invariant: a remainder is below its divisor"))
    }
}

/// A read under way; dropping it lets others read instead.
pub(super) struct Landing<'a, V: Weigh, O> {
    table: &'a Table<V, O>,
    key: Box<str>,
    sender: watch::Sender<Option<O>>,
}

impl<V: Weigh, O> Landing<'_, V, O> {
    /// Hands the outcome to the passengers, and keeps `value` unless something has changed.
    pub(super) fn land(self, value: Option<V>, outcome: O) {
        {
            let mut stripe = self.table.stripe(&self.key);
            if self.is_on_the_table(&stripe) {
                stripe.reads.remove(&self.key);
                if let Some(value) = value
                    && !stripe.fences.contains_key(&self.key)
                {
                    self.table.values.insert(self.key.clone(), value);
                }
            }
        }
        self.sender.send_replace(Some(outcome));
    }

    fn is_on_the_table(&self, stripe: &Stripe<O>) -> bool {
        let read = stripe.reads.get(&self.key);
        read.is_some_and(|(_, outcome)| outcome.same_channel(&self.sender.subscribe()))
    }
}

impl<V: Weigh, O> Drop for Landing<'_, V, O> {
    fn drop(&mut self) {
        let mut stripe = self.table.stripe(&self.key);
        if self.is_on_the_table(&stripe) {
            stripe.reads.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for u32 {
        fn bytes(&self) -> usize {
            4
        }
    }

    fn table() -> Table<u32, u32> {
        Table::new(1 << 20, 100)
    }

    fn pilot(table: &Table<u32, u32>) -> Landing<'_, u32, u32> {
        match table.board("k", 0) {
            Boarding::Pilot(landing) => landing,
            Boarding::Passenger(_) => panic!("a read is under way"),
        }
    }

    #[tokio::test]
    async fn a_passenger_gets_what_the_pilot_lands() {
        let table = table();
        let landing = pilot(&table);
        let Boarding::Passenger(mut outcome) = table.board("k", 0) else {
            panic!("a read is under way");
        };
        landing.land(Some(7), 7);
        assert_eq!(*outcome.wait_for(Option::is_some).await.unwrap(), Some(7));
        assert_eq!(table.peek("k"), Some(7));
    }

    #[tokio::test]
    async fn a_pilot_that_gives_up_lets_others_read() {
        let table = table();
        let landing = pilot(&table);
        let Boarding::Passenger(mut outcome) = table.board("k", 0) else {
            panic!("a read is under way");
        };
        drop(landing);
        assert!(outcome.wait_for(Option::is_some).await.is_err());
        pilot(&table).land(Some(7), 7);
        assert_eq!(table.peek("k"), Some(7));
    }

    #[test]
    fn what_changed_while_it_was_read_is_not_kept() {
        type Change<'a> = &'a dyn Fn(&Table<u32, u32>);
        let changes: [Change<'_>; 4] = [
            &|table| table.invalidate("k"),
            &|table| table.ground(),
            &|table| table.fence("k"),
            &|table| {
                table.fence("k");
                table.unfence("k");
            },
        ];
        for change in changes {
            let table = table();
            let landing = pilot(&table);
            change(&table);
            landing.land(Some(7), 7);
            assert_eq!(table.peek("k"), None);
        }
    }

    #[test]
    fn nothing_is_kept_while_a_key_is_fenced() {
        let table = table();
        table.fence("k");
        table.fence("k");
        for _ in 0..2 {
            pilot(&table).land(Some(7), 7);
            assert_eq!(table.peek("k"), None);
            table.unfence("k");
        }
        pilot(&table).land(Some(7), 7);
        assert_eq!(table.peek("k"), Some(7));
    }

    #[test]
    fn a_read_after_a_change_does_not_join_one_from_before() {
        let table = table();
        let before = pilot(&table);
        table.invalidate("k");
        let after = pilot(&table);
        before.land(Some(1), 1);
        assert_eq!(table.peek("k"), None);
        after.land(Some(2), 2);
        assert_eq!(table.peek("k"), Some(2));
    }

    #[test]
    fn a_read_that_began_at_another_number_is_not_joined() {
        let table = table();
        let before = pilot(&table);
        let Boarding::Pilot(after) = table.board("k", 1) else {
            panic!("something has changed since that read began");
        };
        assert!(matches!(table.board("k", 1), Boarding::Passenger(_)));
        before.land(Some(1), 1);
        assert_eq!(table.peek("k"), None);
        after.land(Some(2), 2);
        assert_eq!(table.peek("k"), Some(2));
    }

    #[test]
    fn values_stay_below_the_capacity() {
        #[derive(Clone)]
        struct Heavy;
        impl Weigh for Heavy {
            fn bytes(&self) -> usize {
                1_000
            }
        }
        let table: Table<Heavy, ()> = Table::new(100_000, 1_000);
        for number in 0..1_000 {
            if let Boarding::Pilot(landing) = table.board(&number.to_string(), 0) {
                landing.land(Some(Heavy), ());
            }
        }
        assert!(table.weight() <= 100_000);
        assert!(table.len() > 50, "{} values", table.len());
    }
}
