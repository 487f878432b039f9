//! Semaphores, read/write locks, several locks, elections, latches, guarded writes.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use mainstay::ErrorKind;
use mainstay::lock::{
    Acquire, AcquireAll, FencedWrite, LatchWait, Leadership, LockGuard, LockKind, Release, With,
};
use tokio::time::timeout;

use super::{Subject, ms};
use crate::fixture::eventually;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn guard(acquire: Acquire) -> LockGuard {
    match acquire {
        Acquire::Acquired(guard) => guard,
        other @ Acquire::Held { .. } => panic!("not acquired: {other:?}"),
    }
}

fn is_held(acquire: &Acquire) -> bool {
    matches!(acquire, Acquire::Held { .. })
}

pub async fn a_semaphore_lets_in_as_many_as_it_has_units(subject: &Subject) {
    let imports = subject.stay().semaphore("imports", some(3)).ttl(LONG);
    let imports = imports.build().unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(guard(imports.try_acquire().await.unwrap()));
    }
    assert!(held.is_sorted_by(|a, b| a.fence() < b.fence()));
    let refused = imports.try_acquire().await.unwrap();
    let Acquire::Held { left, holder } = refused else {
        panic!("four of three");
    };
    assert!(left.is_some_and(|left| left <= LONG && left > LONG / 2));
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    let first = held.remove(0);
    assert_eq!(first.release().await.unwrap(), Release::Released);
    let third = guard(imports.try_acquire().await.unwrap());
    assert!(third.fence() > held[1].fence());
    assert!(is_held(&imports.try_acquire().await.unwrap()));
    let other = subject.stay().semaphore("exports", some(1)).build();
    drop(guard(other.unwrap().try_acquire().await.unwrap()));
}

pub async fn many_units_are_taken_at_once_or_not_at_all(subject: &Subject) {
    let slots = subject.stay().semaphore("slots", some(5)).ttl(LONG);
    let slots = slots.build().unwrap();
    let three = slots.acquire_many(some(3), Duration::ZERO).await.unwrap();
    let three = guard(three);
    let again = slots.acquire_many(some(3), Duration::ZERO).await.unwrap();
    assert!(is_held(&again), "six of five");
    let two = guard(slots.acquire_many(some(2), Duration::ZERO).await.unwrap());
    assert!(is_held(&slots.try_acquire().await.unwrap()));
    assert_eq!(three.release().await.unwrap(), Release::Released);
    let three = slots.acquire_many(some(3), Duration::ZERO).await.unwrap();
    assert!(guard(three).fence() > two.fence());
    let refused = slots.acquire_many(some(6), LONG).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let many = subject.stay().semaphore("slots", some(10_001)).build();
    assert_eq!(many.unwrap_err().kind(), ErrorKind::Invalid);
}

pub async fn who_wants_many_units_is_not_overtaken_by_who_wants_few(subject: &Subject) {
    let slots = subject.stay().semaphore("slots", some(3)).ttl(LONG);
    let slots = slots.build().unwrap();
    let one = guard(slots.try_acquire().await.unwrap());
    let mut all = Box::pin(slots.acquire_many(some(3), LONG));
    assert!(poll!(&mut all).is_pending());
    // By a later call it has its place.
    assert!(is_held(&slots.try_acquire().await.unwrap()));
    let mut few = Box::pin(slots.acquire(LONG));
    assert!(poll!(&mut few).is_pending());
    assert!(is_held(&slots.try_acquire().await.unwrap()), "two are free");
    one.release().await.unwrap();
    let all = timeout(ms(900), all).await.expect("it is called");
    let all = guard(all.unwrap());
    assert!(poll!(&mut few).is_pending());
    all.release().await.unwrap();
    let few = timeout(ms(900), few).await.expect("it is called");
    assert!(guard(few.unwrap()).check().is_ok());
}

pub async fn a_shared_hold_is_renewed_and_seen_and_can_be_broken(subject: &Subject) {
    let ttl = ms(300);
    let jobs = subject.stay().semaphore("jobs", some(2)).ttl(ttl);
    let jobs = jobs.build().unwrap();
    let (first, second) = (
        guard(jobs.try_acquire().await.unwrap()),
        guard(jobs.try_acquire().await.unwrap()),
    );
    for _ in 0..4 {
        subject.advance(ttl / 2).await;
        assert!(is_held(&jobs.try_acquire().await.unwrap()));
    }
    let seen = jobs.inspect().await.unwrap().holdings;
    let mut fences: Vec<_> = seen.iter().filter_map(|seen| seen.fence).collect();
    fences.sort_unstable();
    assert_eq!(fences, [first.fence(), second.fence()]);
    for seen in &seen {
        assert!(
            seen.held_for.is_some_and(|held| held >= 2 * ttl),
            "{seen:?}"
        );
        assert!(seen.left.is_some_and(|left| left <= ttl), "{seen:?}");
    }
    let its = seen.iter().find(|seen| seen.fence == Some(first.fence()));
    let broken = jobs.force_release(its.unwrap(), "it hangs").await.unwrap();
    assert_eq!(broken, Release::Released);
    subject.elapse(first.lost()).await;
    assert!(second.check().is_ok());
    let third = guard(jobs.try_acquire().await.unwrap());
    assert_eq!(first.release().await.unwrap(), Release::NotHeld);
    assert!(third.check().is_ok());
    let last = jobs.inspect().await.unwrap().last_break;
    assert_eq!(last.unwrap().reason, "it hangs");
}

pub async fn what_is_held_of_every_kind_is_listed_and_can_be_freed(subject: &Subject) {
    let stay = subject.stay();
    let list = async || {
        let held = stay.list_locks(None, 100).await.unwrap();
        assert!(held.is_all);
        let told = held.locks.iter().map(|held| {
            let holders = held.info.holdings.len();
            (held.lock.kind(), held.lock.name().to_string(), holders)
        });
        told.collect::<BTreeSet<_>>()
    };
    let told = |told: &[(LockKind, &str, usize)]| {
        let told = told.iter();
        let told = told.map(|(kind, name, holders)| (*kind, (*name).to_owned(), *holders));
        told.collect::<BTreeSet<_>>()
    };
    assert_eq!(list().await, told(&[]));
    let mut guards = Vec::new();
    for name in ["report", "a/b", "freed"] {
        let lock = stay.lock(name).ttl(LONG).build().unwrap();
        guards.push(guard(lock.try_acquire().await.unwrap()));
    }
    let slots = stay.semaphore("report", some(2)).ttl(LONG).build().unwrap();
    guards.push(guard(slots.try_acquire().await.unwrap()));
    guards.push(guard(slots.try_acquire().await.unwrap()));
    let settings = stay.read_write_lock("settings").ttl(LONG).build().unwrap();
    guards.push(guard(settings.write(Duration::ZERO).await.unwrap()));
    let freed = guards.remove(2);
    assert_eq!(freed.release().await.unwrap(), Release::Released);
    let all = [
        (LockKind::Lock, "a/b", 1),
        (LockKind::Lock, "report", 1),
        (LockKind::Semaphore, "report", 2),
        (LockKind::ReadWrite, "settings", 1),
    ];
    assert_eq!(list().await, told(&all));
    let some = stay.list_locks(None, 3).await.unwrap();
    assert_eq!((some.locks.len(), some.is_all), (3, false));
    let kind = Some(LockKind::Semaphore);
    let semaphores = stay.list_locks(kind, 1).await.unwrap();
    assert_eq!((semaphores.locks.len(), semaphores.is_all), (1, true));
    if let Some(other) = subject.under("others").await {
        let none = other.list_locks(None, 100).await.unwrap();
        assert!(none.locks.is_empty(), "{none:?}");
    }
    for kind in LockKind::ALL {
        let name = if kind == LockKind::ReadWrite {
            "settings"
        } else {
            "report"
        };
        let lock = stay.any_lock(kind, name).unwrap();
        let seen = lock.inspect().await.unwrap().holdings.remove(0);
        let freed = lock.force_release(&seen, "a person says so").await.unwrap();
        assert_eq!(freed, Release::Released);
        let again = lock.force_release(&seen, "a person says so").await.unwrap();
        assert_eq!(again, Release::Released, "it is harmless to repeat");
    }
    let rest = [
        (LockKind::Lock, "a/b", 1),
        (LockKind::Semaphore, "report", 1),
    ];
    assert_eq!(list().await, told(&rest));
}

pub async fn readers_share_and_a_writer_is_alone(subject: &Subject) {
    let prices = subject.stay().read_write_lock("prices").ttl(LONG);
    let prices = prices.build().unwrap();
    let now = Duration::ZERO;
    let readers = [
        guard(prices.read(now).await.unwrap()),
        guard(prices.read(now).await.unwrap()),
    ];
    assert!(is_held(&prices.write(now).await.unwrap()));
    for reader in readers {
        assert_eq!(reader.release().await.unwrap(), Release::Released);
    }
    let writer = guard(prices.write(now).await.unwrap());
    assert!(is_held(&prices.read(now).await.unwrap()));
    assert!(is_held(&prices.write(now).await.unwrap()));
    assert_eq!(prices.inspect().await.unwrap().holdings.len(), 1);
    assert_eq!(writer.release().await.unwrap(), Release::Released);
    assert!(!is_held(&prices.read(now).await.unwrap()));
}

pub async fn a_writer_who_waits_is_not_starved_and_readers_follow_together(subject: &Subject) {
    let prices = subject.stay().read_write_lock("prices").ttl(LONG);
    let prices = prices.build().unwrap();
    let reader = guard(prices.read(Duration::ZERO).await.unwrap());
    let mut writer = Box::pin(prices.write(LONG));
    assert!(poll!(&mut writer).is_pending());
    assert!(
        is_held(&prices.read(Duration::ZERO).await.unwrap()),
        "a reader overtook the writer"
    );
    let mut late: Vec<_> = (0..4).map(|_| Box::pin(prices.read(LONG))).collect();
    for late in &mut late {
        assert!(poll!(late).is_pending());
    }
    // By a later call they have their places.
    assert!(is_held(&prices.read(Duration::ZERO).await.unwrap()));
    reader.release().await.unwrap();
    let writer = timeout(ms(900), writer).await.expect("it is called");
    let writer = guard(writer.unwrap());
    for late in &mut late {
        assert!(poll!(late).is_pending());
    }
    writer.release().await.unwrap();
    // Each calls the next: none waits until its place must be kept.
    let together = timeout(ms(900), join_all(late)).await;
    let readers = together.expect("all are called").into_iter();
    let readers: Vec<_> = readers.map(|reader| guard(reader.unwrap())).collect();
    assert!(readers.iter().all(|reader| reader.check().is_ok()));
}

pub async fn several_locks_are_taken_all_or_none(subject: &Subject) {
    let stay = subject.stay();
    let set = |names: &[&str]| stay.locks(names.iter().copied()).ttl(LONG).build();
    let (ab, bc) = (set(&["b", "a"]).unwrap(), set(&["b", "c"]).unwrap());
    let AcquireAll::Acquired(both) = ab.acquire(Duration::ZERO).await.unwrap() else {
        panic!("nobody holds them");
    };
    assert!(both.fence("a").is_some() && both.fence("b").is_some());
    assert_eq!(both.fence("c"), None);
    let refused = bc.acquire(Duration::ZERO).await.unwrap();
    let AcquireAll::Held { name, .. } = refused else {
        panic!("two holders of b");
    };
    assert_eq!(name.as_str(), "b");
    let c = stay.lock("c").ttl(LONG).build().unwrap();
    let c = guard(c.try_acquire().await.unwrap());
    let mut waiting = Box::pin(bc.acquire(LONG));
    assert!(poll!(&mut waiting).is_pending());
    assert_eq!(both.release().await.unwrap(), Release::Released);
    c.release().await.unwrap();
    let waited = timeout(Subject::BOUND, waiting)
        .await
        .expect("it is called");
    let AcquireAll::Acquired(held) = waited.unwrap() else {
        panic!("both are free");
    };
    assert_eq!(held.check(), Ok(()));
    held.release().await.unwrap();
    for wrong in [&[][..], &["a", "a"], &["a", "no name"]] {
        assert_eq!(set(wrong).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

pub async fn sets_that_overlap_never_wait_for_each_other(subject: &Subject) {
    let sets = [["a", "b"], ["b", "c"], ["c", "a"]];
    let work = sets.map(|names| async move {
        let set = subject.stay().locks(names).ttl(LONG).build().unwrap();
        for _ in 0..5 {
            let AcquireAll::Acquired(held) = set.acquire(LONG).await.unwrap() else {
                panic!("the wait is long enough");
            };
            tokio::task::yield_now().await;
            assert_eq!(held.release().await.unwrap(), Release::Released);
        }
    });
    subject.elapse(join_all(work)).await;
}

pub async fn one_candidate_leads_until_it_resigns_or_is_lost(subject: &Subject) {
    let ttl = ms(300);
    let election = subject.stay().election("scheduler").ttl(ttl).build();
    let election = election.unwrap();
    assert_eq!(election.leader().await.unwrap(), None);
    let (mut first, mut second) = (election.campaign(), election.campaign());
    // Whoever of the two comes first.
    let (elected, is_first) = tokio::select! {
        elected = first.next() => (elected, true),
        elected = second.next() => (elected, false),
    };
    let (mut leader, mut other) = if is_first {
        (first, second)
    } else {
        (second, first)
    };
    let Leadership::Elected(term) = elected else {
        panic!("nobody led before");
    };
    let seen = election.leader().await.unwrap().expect("one leads");
    assert_eq!(seen.fence, Some(term.fence()));
    subject.take_away("scheduler", ttl).await;
    let Leadership::Lost { term: ended } = subject.elapse(leader.next()).await else {
        panic!("it was lost");
    };
    assert_eq!(ended, term.fence());
    assert!(term.is_lost());
    // Either may be next, and tells by its term that it is another's.
    let (elected, is_same) = subject
        .elapse(async {
            tokio::select! {
                elected = leader.next() => (elected, true),
                elected = other.next() => (elected, false),
            }
        })
        .await;
    let (leader, mut other) = if is_same {
        (leader, other)
    } else {
        (other, leader)
    };
    let Leadership::Elected(next) = elected else {
        panic!("it was told of no other term");
    };
    assert!(next.fence() > term.fence());
    leader.resign().await;
    let elected = timeout(Subject::BOUND, subject.elapse(other.next())).await;
    let Leadership::Elected(last) = elected.expect("it comes next") else {
        panic!("it did not lead");
    };
    assert!(last.fence() > next.fence());
    other.resign().await;
    assert_eq!(election.leader().await.unwrap(), None);
}

pub async fn a_latch_opens_when_all_have_arrived(subject: &Subject) {
    let ready = subject.stay().latch("ready", some(3)).build().unwrap();
    assert_eq!(ready.count_down("one").await.unwrap(), 2);
    assert_eq!(ready.count_down("one").await.unwrap(), 2, "counted twice");
    let closed = ready.wait(Duration::ZERO).await.unwrap();
    assert_eq!(closed, LatchWait::Closed { left: 2 });
    assert_eq!(ready.count_down("two").await.unwrap(), 1);
    let mut waiting = [Box::pin(ready.wait(LONG)), Box::pin(ready.wait(LONG))];
    for waiting in &mut waiting {
        assert!(poll!(waiting).is_pending());
    }
    assert_eq!(ready.count_down("three").await.unwrap(), 0);
    let opened = timeout(Subject::BOUND, join_all(waiting)).await;
    for opened in opened.expect("they are woken") {
        assert_eq!(opened.unwrap(), LatchWait::Open);
    }
    assert_eq!(ready.count_down("four").await.unwrap(), 0);
    ready.reset().await.unwrap();
    let closed = subject.elapse(ready.wait(ms(20))).await.unwrap();
    assert_eq!(closed, LatchWait::Closed { left: 3 });
    let refused = ready.count_down("").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

pub async fn a_smaller_fence_never_replaces_a_guarded_value(subject: &Subject) {
    let lock = subject.stay().lock("ledger").ttl(LONG).build().unwrap();
    let ledger = subject.stay().fenced_value("ledger").build().unwrap();
    assert_eq!(ledger.get().await.unwrap(), None);
    let first = guard(lock.try_acquire().await.unwrap());
    let stale = first.fence();
    for value in ["a", "b"] {
        let written = ledger.set(stale, value).await.unwrap();
        assert_eq!(written, FencedWrite::Written);
    }
    first.release().await.unwrap();
    let second = guard(lock.try_acquire().await.unwrap());
    let written = ledger.set(second.fence(), "c").await.unwrap();
    assert_eq!(written, FencedWrite::Written);
    let fence = second.fence();
    assert_eq!(
        ledger.set(stale, "d").await.unwrap(),
        FencedWrite::Refused { fence }
    );
    let kept = ledger.get().await.unwrap().unwrap();
    assert_eq!((kept.fence, &kept.value[..]), (fence, &b"c"[..]));
    // Numbers of other lengths compare as numbers, beyond what a double holds exactly, too.
    let exact = subject.stay().fenced_value("exact").build().unwrap();
    for (fence, is_written) in [
        (9, true),
        (10, true),
        (9, false),
        (u64::MAX - 1, true),
        (u64::MAX, true),
        (u64::MAX - 1, false),
    ] {
        let written = exact.set(fence.into(), "x").await.unwrap();
        assert_eq!(written == FencedWrite::Written, is_written, "{fence}");
    }
    let large = vec![0; (8 << 20) + 1];
    let refused = exact.set(u64::MAX.into(), large).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

pub async fn work_under_a_lock_ends_with_the_lock(subject: &Subject) {
    let ttl = ms(300);
    let lock = subject.stay().lock("report").ttl(ttl).build().unwrap();
    let now = Duration::ZERO;
    let done = lock.with(now, |held| async move { held.check().is_ok() });
    assert_eq!(done.await.unwrap(), With::Done(true));
    let ours = &lock;
    let lost = subject
        .elapse(ours.with(now, |held| async move {
            let held_by_another = ours.with(now, |_| async { "twice" }).await.unwrap();
            assert!(matches!(held_by_another, With::Held { .. }));
            subject.take_away("report", ttl).await;
            held.lost().await;
            std::future::pending::<()>().await;
        }))
        .await;
    assert_eq!(lost.unwrap(), With::Lost(None));
    eventually("the lock is free", Subject::BOUND, async || {
        match lock.try_acquire().await.unwrap() {
            Acquire::Acquired(_) => Ok(()),
            held @ Acquire::Held { .. } => Err(format!("{held:?}")),
        }
    })
    .await;
}
