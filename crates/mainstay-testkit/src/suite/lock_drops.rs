//! Futures of locks that are dropped wherever they wait: nothing they held stays behind.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::lock::{Acquire, AnyLock, LeaseAttempt, LockGuard, LockKind};
use tokio::task::yield_now;
use tokio::time::Instant;

use super::{Subject, ms};
use crate::fixture::eventually;

/// Far longer than what is dropped may stay: it is released, and need not end by itself.
const TTL: Duration = Duration::from_secs(10);
/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);
/// Sooner than a place in the queue ends by itself.
const SOON: Duration = ms(700);
/// More points than any of the futures has.
const MANY: u32 = 100;

/// Gives up, and drops what it waits for, instead of waiting once more than so often.
struct DropAt<F> {
    future: Pin<Box<F>>,
    waits: u32,
}

impl<F: Future> Future for DropAt<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.waits == 0 => Poll::Ready(None),
            Poll::Pending => {
                self.waits -= 1;
                Poll::Pending
            }
        }
    }
}

/// Drops one future after another, each at a later point, until one has completed; `beside` runs
/// with it. After each, all of the lock is free soon, and nobody waits for it.
async fn at_every_point<F, B>(
    subject: &Subject,
    lock: (LockKind, &str),
    mut future: impl AsyncFnMut(u32) -> (F, B),
) -> u32
where
    F: Future<Output: Send> + Send + 'static,
    B: Future<Output = ()>,
{
    let seen = subject.stay().any_lock(lock.0, lock.1).unwrap();
    for point in 0..MANY {
        let (future, beside) = future(point).await;
        let dropped = DropAt {
            future: Box::pin(future),
            waits: point,
        };
        // As a task it runs only when it is woken: every run is a point where it waits.
        let task = tokio::spawn(dropped);
        let (ended, ()) = subject.elapse(async { tokio::join!(task, beside) }).await;
        let has_completed = ended.unwrap().is_some();
        is_free_soon(subject, &seen, point).await;
        if has_completed {
            return point;
        }
    }
    panic!("it waits more than {MANY} times");
}

async fn is_free_soon(subject: &Subject, lock: &AnyLock, point: u32) {
    let dropped = Instant::now();
    let free = eventually("free again, and nobody waits", Subject::BOUND, async || {
        subject.advance(ms(2)).await;
        let info = lock.inspect().await.unwrap();
        match (info.holdings.as_slice(), info.waiting) {
            ([], 0) => Ok(()),
            _ => Err(format!("dropped at point {point}: {info:?}")),
        }
    });
    free.await;
    let took = dropped.elapsed();
    assert!(took < SOON, "dropped at point {point}: {took:?}");
    assert_eq!(subject.endless_keys().await, [""; 0]);
}

fn held(acquire: Acquire) -> LockGuard {
    match acquire {
        Acquire::Acquired(guard) => guard,
        other @ Acquire::Held { .. } => panic!("not acquired: {other:?}"),
    }
}

async fn lock(stay: &Mainstay) -> LockGuard {
    let lock = stay.lock("report").ttl(TTL).build().unwrap();
    held(lock.try_acquire().await.unwrap())
}

/// Releases when whoever waits for it has had the time to.
async fn release_soon(subject: &Subject, guard: LockGuard) {
    subject.advance(ms(20)).await;
    guard.release().await.unwrap();
}

pub async fn a_dropped_acquisition_leaves_nothing(subject: &Subject) {
    let stay = subject.stay();
    let report = stay.lock("report").ttl(TTL).build().unwrap();
    let name = (LockKind::Lock, "report");
    let free = async |_| {
        let report = report.clone();
        (async move { report.try_acquire().await }, async {})
    };
    at_every_point(subject, name, free).await;
    let waited = async |_| {
        let (report, held) = (report.clone(), lock(stay).await);
        let acquire = async move { report.acquire(LONG).await };
        (acquire, release_soon(subject, held))
    };
    let points = at_every_point(subject, name, waited).await;
    assert!(points > 0, "it has to wait for the holder");
}

pub async fn a_dropped_lease_call_leaves_nothing(subject: &Subject) {
    let stay = subject.stay();
    let report = stay.lock("report").ttl(TTL).build().unwrap();
    let lease = async |_| {
        let (report, held) = (report.clone(), lock(stay).await);
        let lease = async move {
            let LeaseAttempt::Leased(lease) = report.lease(LONG).await.unwrap() else {
                panic!("it was released");
            };
            // From here on it is the caller's to release.
            tokio::spawn(async move { report.release(&lease.token).await.unwrap() });
        };
        (lease, release_soon(subject, held))
    };
    let points = at_every_point(subject, (LockKind::Lock, "report"), lease).await;
    assert!(points > 0, "it has to wait for the holder");
}

pub async fn a_dropped_release_releases(subject: &Subject) {
    let release = async |_| {
        let held = lock(subject.stay()).await;
        (held.release(), async {})
    };
    at_every_point(subject, (LockKind::Lock, "report"), release).await;
}

pub async fn work_that_is_dropped_under_a_lock_releases_it(subject: &Subject) {
    let report = subject.stay().lock("report").ttl(TTL).build().unwrap();
    let with = async |_| {
        let report = report.clone();
        let work = async move {
            let work = report.with(LONG, |held| async move {
                for _ in 0..3 {
                    yield_now().await;
                    held.check().unwrap();
                }
            });
            work.await
        };
        (work, async {})
    };
    let points = at_every_point(subject, (LockKind::Lock, "report"), with).await;
    assert!(points >= 3, "{points}: the work waits");
}

pub async fn a_dropped_acquisition_of_units_leaves_nothing(subject: &Subject) {
    let two = NonZeroU32::new(2).unwrap();
    let slots = subject.stay().semaphore("slots", two).ttl(TTL);
    let slots = slots.build().unwrap();
    let units = async |_| {
        let one = held(slots.try_acquire().await.unwrap());
        let slots = slots.clone();
        let acquire = async move { slots.acquire_many(two, LONG).await };
        (acquire, release_soon(subject, one))
    };
    let points = at_every_point(subject, (LockKind::Semaphore, "slots"), units).await;
    assert!(points > 0, "it has to wait for the holder");
}

pub async fn a_dropped_writer_holds_up_no_reader(subject: &Subject) {
    let settings = subject.stay().read_write_lock("settings").ttl(TTL);
    let settings = settings.build().unwrap();
    let write = async |_| {
        let reader = held(settings.read(Duration::ZERO).await.unwrap());
        let settings = settings.clone();
        let write = async move { settings.write(LONG).await };
        (write, release_soon(subject, reader))
    };
    let points = at_every_point(subject, (LockKind::ReadWrite, "settings"), write).await;
    assert!(points > 0, "it has to wait for the reader");
}

pub async fn a_dropped_acquisition_of_several_locks_leaves_none_of_them(subject: &Subject) {
    let stay = subject.stay();
    let first = stay.any_lock(LockKind::Lock, "a").unwrap();
    let both = stay.locks(["a", "report"]).ttl(TTL).build().unwrap();
    let all = async |point: u32| {
        if let Some(before) = point.checked_sub(1) {
            is_free_soon(subject, &first, before).await;
        }
        let (both, held) = (both.clone(), lock(stay).await);
        let acquire = async move { both.acquire(LONG).await };
        (acquire, release_soon(subject, held))
    };
    let points = at_every_point(subject, (LockKind::Lock, "report"), all).await;
    is_free_soon(subject, &first, points).await;
    assert!(points > 0, "it has to wait for the holder");
}

pub async fn a_dropped_candidate_leads_no_longer(subject: &Subject) {
    let election = subject.stay().election("report").ttl(TTL).build().unwrap();
    let lead = async |_| {
        let mut candidacy = election.campaign();
        let lead = async move {
            let _elected = candidacy.next().await;
            yield_now().await;
            candidacy.resign().await;
        };
        (lead, async {})
    };
    let points = at_every_point(subject, (LockKind::Lock, "report"), lead).await;
    assert!(
        points > 1,
        "{points}: it waits to be elected, and once more"
    );
}
