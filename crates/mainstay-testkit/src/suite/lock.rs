//! Locks: exclusion, fences, leases, waiting.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use mainstay::clock::{Clock, SystemClock};
use mainstay::lock::{Acquire, LeaseAttempt, Lock, LockGuard, LockLease, Release};
use mainstay::{ErrorKind, Mainstay};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::{Subject, ms};
use crate::fixture::eventually;
use crate::oracle::{Held, check_locks};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);
/// The shortest that is allowed.
const SHORT: Duration = ms(100);

fn lock_with(stay: &Mainstay, ttl: Duration) -> Lock {
    stay.lock("report").ttl(ttl).build().unwrap()
}

fn guard(acquire: Acquire) -> LockGuard {
    match acquire {
        Acquire::Acquired(guard) => guard,
        other @ Acquire::Held { .. } => panic!("not acquired: {other:?}"),
    }
}

async fn take(lock: &Lock) -> LockGuard {
    guard(lock.try_acquire().await.unwrap())
}

async fn is_held(lock: &Lock) -> bool {
    matches!(lock.try_acquire().await.unwrap(), Acquire::Held { .. })
}

async fn lease(lock: &Lock) -> LockLease {
    match lock.lease(Duration::ZERO).await.unwrap() {
        LeaseAttempt::Leased(lease) => lease,
        other @ LeaseAttempt::Held { .. } => panic!("not leased: {other:?}"),
    }
}

/// Waits until the lock can be taken, on the backend's clock.
async fn take_within_bound(subject: &Subject, lock: &Lock) -> LockGuard {
    guard(subject.elapse(lock.acquire(Subject::BOUND)).await.unwrap())
}

pub async fn a_held_lock_excludes_others(subject: &Subject) {
    let (ours, theirs) = (
        lock_with(subject.stay(), LONG),
        lock_with(subject.stay(), LONG),
    );
    let held = take(&ours).await;
    assert!(is_held(&theirs).await);
    assert!(is_held(&ours).await, "a lock is not re-entrant by its name");
    let other = subject.stay().lock("other").build().unwrap();
    drop(take(&other).await);
    assert_eq!(held.release().await.unwrap(), Release::Released);
    drop(take(&theirs).await);
}

pub async fn concurrent_holders_never_overlap_and_fences_rise(subject: &Subject) {
    const TASKS: usize = 8;
    const TURNS: usize = 4;
    let clock = SystemClock;
    let start = clock.now();
    let work = (0..TASKS).map(|_| async {
        let lock = lock_with(subject.stay(), LONG);
        let mut history = Vec::new();
        for _ in 0..TURNS {
            let guard = guard(lock.acquire(LONG).await.unwrap());
            let from = clock.now().since(start);
            yield_now().await;
            guard.check().unwrap();
            let until = clock.now().since(start);
            history.push(Held {
                from,
                until,
                fence: guard.fence().get(),
            });
            assert_eq!(guard.release().await.unwrap(), Release::Released);
        }
        history
    });
    let history = subject.elapse(join_all(work)).await.concat();
    assert_eq!(history.len(), TASKS * TURNS);
    assert_eq!(check_locks(&history), Ok(()));
}

pub async fn a_fence_rises_with_every_holder(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let mut last = 0;
    for _ in 0..5 {
        let guard = take(&lock).await;
        assert!(guard.fence().get() > last);
        last = guard.fence().get();
        guard.release().await.unwrap();
    }
    // At least the store's clock in microseconds, which is after 2019.
    assert!(last > 1_550_000_000_000_000, "{last}");
}

pub async fn a_renewed_lease_keeps_its_fence(subject: &Subject) {
    let lock = lock_with(subject.stay(), ms(300));
    let lease = lease(&lock).await;
    for _ in 0..3 {
        subject.advance(ms(150)).await;
        let renewed = lock.renew(&lease.token).await.unwrap().expect("it is held");
        assert_eq!((renewed.fence, &renewed.token), (lease.fence, &lease.token));
        assert!(renewed.expires_in <= ms(300) && renewed.expires_in > ms(200));
    }
    assert!(is_held(&lock).await);
}

pub async fn releasing_twice_answers_released_twice(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let lease = lease(&lock).await;
    for _ in 0..2 {
        assert_eq!(lock.release(&lease.token).await.unwrap(), Release::Released);
    }
    let held = take(&lock).await;
    lock.release(&lease.token).await.unwrap();
    assert!(
        is_held(&lock).await,
        "a release after the release freed another's lock"
    );
    held.check().unwrap();
}

pub async fn a_guard_renews_itself_beyond_its_ttl(subject: &Subject) {
    let ttl = ms(300);
    let lock = lock_with(subject.stay(), ttl);
    let guard = take(&lock).await;
    let deadline = guard.deadline();
    for _ in 0..4 {
        subject.advance(ttl / 2).await;
        assert!(is_held(&lock).await);
    }
    guard.check().unwrap();
    assert!(guard.deadline() > deadline);
    assert_eq!(guard.release().await.unwrap(), Release::Released);
}

pub async fn a_lease_that_is_not_renewed_ends(subject: &Subject) {
    let lock = lock_with(subject.stay(), SHORT);
    let lease = lease(&lock).await;
    assert!(lease.expires_in <= SHORT);
    subject.advance(SHORT + ms(10)).await;
    let successor = take(&lock).await;
    assert!(successor.fence() > lease.fence);
    assert_eq!(lock.renew(&lease.token).await.unwrap(), None);
    assert_eq!(lock.release(&lease.token).await.unwrap(), Release::NotHeld);
    assert!(is_held(&lock).await);
    successor.check().unwrap();
}

pub async fn renewing_never_takes_a_free_lock(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    assert_eq!(lock.renew("nobody").await.unwrap(), None);
    let lease = lease(&lock).await;
    lock.release(&lease.token).await.unwrap();
    assert_eq!(lock.renew(&lease.token).await.unwrap(), None);
    drop(take(&lock).await);
}

pub async fn only_the_owner_can_release(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let lease = lease(&lock).await;
    assert_eq!(lock.release("somebody").await.unwrap(), Release::NotHeld);
    assert_eq!(lock.renew("somebody").await.unwrap(), None);
    assert!(is_held(&lock).await);
    assert_eq!(lock.release(&lease.token).await.unwrap(), Release::Released);
}

pub async fn a_waiter_gets_the_lock_when_it_is_released(subject: &Subject) {
    const HANDOVERS: u32 = 8;
    let lock = lock_with(subject.stay(), LONG);
    let mut held = take(&lock).await;
    let handovers = async {
        for _ in 0..HANDOVERS {
            let first = held.fence();
            let release = async {
                subject.advance(ms(5)).await;
                held.release().await.unwrap();
            };
            let (acquired, ()) = tokio::join!(lock.acquire(LONG), release);
            held = guard(acquired.unwrap());
            assert!(held.fence() > first);
        }
    };
    // The clock of the memory backend stands still while they wait, and waiters who only look
    // once a second need twice as long: wake-ups are what helps.
    let bound = Duration::from_millis(500) * HANDOVERS;
    timeout(bound, handovers)
        .await
        .expect("a release wakes the waiter");
}

pub async fn waiters_get_the_lock_in_the_order_in_which_they_came(subject: &Subject) {
    const WAITERS: usize = 8;
    let lock = lock_with(subject.stay(), LONG);
    let held = take(&lock).await;
    let order = Mutex::new(Vec::new());
    let mut waiters: Vec<_> = (0..WAITERS)
        .map(|number| {
            let (lock, order) = (&lock, &order);
            Box::pin(async move {
                let guard = guard(lock.acquire(LONG).await.unwrap());
                order.lock().unwrap().push(number);
                guard.release().await.unwrap();
            })
        })
        .collect();
    for waiter in &mut waiters {
        // Asks once: one after the other.
        assert!(poll!(waiter).is_pending());
    }
    held.release().await.unwrap();
    let all = timeout(Subject::BOUND, join_all(waiters));
    all.await.expect("every waiter gets the lock");
    let came: Vec<_> = (0..WAITERS).collect();
    assert_eq!(order.into_inner().unwrap(), came);
}

pub async fn who_does_not_wait_does_not_overtake_who_does(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let held = take(&lock).await;
    let mut waiter = Box::pin(lock.acquire(LONG));
    assert!(poll!(&mut waiter).is_pending());
    // By a later call it has its place.
    assert!(is_held(&lock).await);
    held.release().await.unwrap();
    assert!(is_held(&lock).await, "it is the waiter's turn");
    let acquired = timeout(Subject::BOUND, waiter).await;
    let taken = guard(acquired.expect("it is called").unwrap());
    assert!(taken.check().is_ok());
}

pub async fn a_waiter_who_gives_up_holds_nobody_up(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let held = take(&lock).await;
    let mut gone = Box::pin(lock.acquire(LONG));
    let mut stays = Box::pin(lock.acquire(LONG));
    assert!(poll!(&mut gone).is_pending());
    assert!(poll!(&mut stays).is_pending());
    assert!(is_held(&lock).await);
    drop(gone);
    held.release().await.unwrap();
    // Sooner than a place would end by itself, which on the clock of memory it never does.
    let acquired = timeout(ms(900), stays).await;
    let taken = guard(acquired.expect("it is called").unwrap());
    assert!(taken.check().is_ok());
}

pub async fn a_wait_that_runs_out_tells_who_holds_the_lock(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let _held = take(&lock).await;
    let waited = subject.elapse(lock.acquire(ms(60))).await.unwrap();
    let Acquire::Held { left, holder } = waited else {
        panic!("two holders");
    };
    assert!(
        left.is_some_and(|left| left <= LONG && left > LONG / 2),
        "{left:?}"
    );
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    // Not by and by: the process may end now, and who comes later must not wait for it.
    assert_eq!(lock.inspect().await.unwrap().waiting, 0);
}

pub async fn a_dropped_guard_frees_the_lock(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    drop(take(&lock).await);
    eventually(
        "the lock is free",
        Duration::from_secs(5),
        async || match lock.try_acquire().await.unwrap() {
            Acquire::Acquired(_) => Ok(()),
            other @ Acquire::Held { .. } => Err(format!("{other:?}")),
        },
    )
    .await;
}

pub async fn a_dropped_acquisition_holds_nothing_beyond_its_ttl(subject: &Subject) {
    let lock = lock_with(subject.stay(), SHORT);
    for turns in 0..10 {
        // Dropped while it is sent, answered, or already done.
        let dropping = async {
            for _ in 0..turns {
                yield_now().await;
            }
        };
        tokio::select! {
            biased;
            acquired = lock.acquire(LONG) => drop(acquired.unwrap()),
            () = dropping => {}
        }
    }
    let held = take_within_bound(subject, &lock).await;
    // And dropped while it waits.
    tokio::select! {
        biased;
        _ = lock.acquire(LONG) => panic!("two holders"),
        () = subject.advance(ms(20)) => {}
    }
    held.release().await.unwrap();
    take_within_bound(subject, &lock).await.check().unwrap();
}

pub async fn a_lock_that_was_taken_away_is_lost(subject: &Subject) {
    let ttl = ms(300);
    let lock = lock_with(subject.stay(), ttl);
    let guard = take(&lock).await;
    guard.check().unwrap();
    subject.take_away("report", ttl).await;
    subject.elapse(guard.lost()).await;
    assert!(guard.is_lost());
    guard.check().unwrap_err();
    let successor = take(&lock).await;
    assert!(successor.fence() > guard.fence());
    assert_eq!(guard.release().await.unwrap(), Release::NotHeld);
    assert!(is_held(&lock).await);
}

pub async fn a_token_that_is_no_token_is_refused(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    for token in ["", "line\n", "ü", &"x".repeat(129)] {
        assert_eq!(
            lock.renew(token).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_eq!(
            lock.release(token).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    for ttl in [ms(99), ms(24 * 3_600_000 + 1)] {
        let refused = subject.stay().lock("report").ttl(ttl).build().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

pub async fn what_is_held_can_be_seen(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let free = lock.inspect().await.unwrap();
    assert_eq!(
        (free.holding, free.waiting, free.last_break),
        (None, 0, None)
    );
    let guard = take(&lock).await;
    let mut waiter = Box::pin(lock.acquire(LONG));
    assert!(poll!(&mut waiter).is_pending());
    subject.advance(ms(50)).await;
    let info = lock.inspect().await.unwrap();
    let seen = info.holding.expect("it is held");
    assert_eq!((info.waiting, seen.fence), (1, Some(guard.fence())));
    assert!(seen.holder.contains(':'), "{}", seen.holder);
    assert!(
        seen.held_for
            .is_some_and(|since| since >= ms(40) && since < LONG)
    );
    assert!(
        seen.left
            .is_some_and(|left| left <= LONG && left > LONG / 2)
    );
}

pub async fn a_forced_release_ends_what_was_seen_and_nothing_else(subject: &Subject) {
    let lock = lock_with(subject.stay(), LONG);
    let first = take(&lock).await;
    let seen = lock.inspect().await.unwrap().holding.expect("it is held");
    for reason in ["", " ", &"x".repeat(501)] {
        let refused = lock.force_release(&seen, reason).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    let mut waiter = Box::pin(lock.acquire(LONG));
    assert!(poll!(&mut waiter).is_pending());
    assert!(is_held(&lock).await);
    let ended = lock.force_release(&seen, "its host hangs").await.unwrap();
    assert_eq!(ended, Release::Released);
    let second = timeout(Subject::BOUND, waiter).await;
    let second = guard(second.expect("it is called").unwrap());
    assert!(second.fence() > first.fence());
    // Again it ends nothing, least of all what another has.
    assert_eq!(
        lock.force_release(&seen, "its host hangs").await.unwrap(),
        Release::Released
    );
    assert!(second.check().is_ok());
    let info = lock.inspect().await.unwrap();
    assert_eq!(info.holding.unwrap().fence, Some(second.fence()));
    let last = info.last_break.expect("it was broken");
    assert_eq!(last.reason, "its host hangs");
    assert_eq!(first.release().await.unwrap(), Release::NotHeld);
    assert_eq!(second.release().await.unwrap(), Release::Released);
    let late = lock.force_release(&seen, "too late").await.unwrap();
    assert_eq!(late, Release::Released, "that hold was ended");
}
