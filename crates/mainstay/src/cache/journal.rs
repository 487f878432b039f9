//! Invalidations that could not be sent: kept, and sent before the store is trusted again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::backend::unpoisoned::lock;

/// Keys and tags that are remembered one by one.
const MOST: usize = 10_000;

/// What is still to be invalidated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owed {
    Key(Box<str>),
    Tag(Box<str>),
}

/// The invalidations that the store has not heard of.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// With the number of the record: one that was recorded anew is not paid by an old payment.
    owed: Mutex<(u64, BTreeMap<Owed, u64>)>,
    is_open: AtomicBool,
    /// One at a time pays.
    pub(super) paying: tokio::sync::Mutex<()>,
}

impl Journal {
    /// Remembers an invalidation; false when there is no room for more.
    pub(super) fn record(&self, owed: Owed) -> bool {
        let mut guard = lock(&self.owed);
        let (number, all) = &mut *guard;
        if all.len() >= MOST && !all.contains_key(&owed) {
            return false;
        }
        *number += 1;
        all.insert(owed, *number);
        self.is_open.store(true, Ordering::SeqCst);
        true
    }

    /// Forgets everything in favour of one invalidation that covers it.
    pub(super) fn record_instead(&self, owed: Owed) {
        lock(&self.owed).1.clear();
        self.record(owed);
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::SeqCst)
    }

    /// One that is still owed, with the number of its record.
    pub(super) fn next(&self) -> Option<(Owed, u64)> {
        let guard = lock(&self.owed);
        let first = guard.1.first_key_value();
        first.map(|(owed, number)| (owed.clone(), *number))
    }

    pub(super) fn settle(&self, paid: &Owed, recorded: u64) {
        let mut guard = lock(&self.owed);
        if guard.1.get(paid) == Some(&recorded) {
            guard.1.remove(paid);
        }
        if guard.1.is_empty() {
            self.is_open.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_bounded_and_empties() {
        let journal = Journal::default();
        let key = |number: usize| Owed::Key(number.to_string().into());
        assert!((0..MOST).all(|number| journal.record(key(number))));
        assert!(journal.record(key(0)));
        assert!(!journal.record(key(MOST)));
        journal.record_instead(Owed::Tag("".into()));
        assert!(journal.is_open());
        let (owed, recorded) = journal.next().unwrap();
        assert_eq!(owed, Owed::Tag("".into()));
        journal.settle(&owed, recorded);
        assert_eq!((journal.next(), journal.is_open()), (None, false));
    }

    #[test]
    fn an_invalidation_that_is_owed_again_is_not_paid_by_the_payment_of_before() {
        let journal = Journal::default();
        let owed = Owed::Key("k".into());
        journal.record(owed.clone());
        let (_, recorded) = journal.next().unwrap();
        journal.record(owed.clone());
        journal.settle(&owed, recorded);
        assert!(journal.is_open());
    }
}
