//! A counter that threads add to without meeting each other.

use std::sync::atomic::{AtomicU64, Ordering};

/// Threads that have a place of their own at a time; more share one.
const PLACES: usize = u64::BITS as usize;

/// Which places belong to threads that live, as bits.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OWN: Place = Place::take();
}

/// This thread's place in every such counter, given back when the thread ends.
struct Place(Option<usize>);

impl Place {
    fn take() -> Self {
        let lowest_free = |taken: u64| {
            let free = taken.trailing_ones();
            (free < u64::BITS).then(|| taken | 1 << free)
        };
        let taken = TAKEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, lowest_free);
        Self(taken.ok().map(|taken| taken.trailing_ones() as usize))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self(Some(place)) = self {
            TAKEN.fetch_and(!(1 << *place), Ordering::AcqRel);
        }
    }
}

/// A number on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Padded(pub(super) AtomicU64);

/// Counts what happens too often for one place in memory.
#[derive(Debug)]
pub(super) struct Spread {
    own: Box<[Padded]>,
    shared: Padded,
}

impl Spread {
    pub(super) fn new() -> Self {
        Self {
            own: (0..PLACES).map(|_| Padded::default()).collect(),
            shared: Padded::default(),
        }
    }

    /// Counts one and returns how many this thread's place had before.
    #[inline]
    pub(super) fn add(&self) -> u64 {
        let place = OWN.try_with(|place| place.0).ok().flatten();
        match place.and_then(|place| self.own.get(place)) {
            Some(own) => {
                // Nobody else writes here, so it need not be one step.
                let before = own.0.load(Ordering::Relaxed);
                own.0.store(before + 1, Ordering::Relaxed);
                before
            }
            None => self.shared.0.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(super) fn sum(&self) -> u64 {
        let own = self.own.iter().map(|place| place.0.load(Ordering::Relaxed));
        own.sum::<u64>() + self.shared.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_lost_though_there_are_more_threads_than_places() {
        let (counter, all_there) = (Spread::new(), Barrier::new(100));
        for _ in 0..2 {
            thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| {
                        counter.add();
                        // Each has its place at the same time as all others.
                        all_there.wait();
                        for _ in 0..999 {
                            counter.add();
                        }
                    });
                }
            });
        }
        assert_eq!(counter.sum(), 200_000);
        assert!(
            counter.shared.0.load(Ordering::Relaxed) > 0,
            "some had to share"
        );
    }
}
