//! What a holder does when the store answers late, wrongly or not at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{Acquire, Keeper, Lock, LockBuilder, LockGuard, Release, Terms};
use crate::backend::{
    BreakOrder, Hold, LockLease, LockRelease, LockStore, LockTry, LockView, Renewal, ScanFrom,
    ScanPart, Wakeups,
};
use crate::clock::{Clock, ManualClock};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Keyspace, StoreKey};

const TTL: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, Eq)]
enum Call {
    Acquire(String),
    Renew,
    Release(String),
}

/// Answers as it was told to, then not at all; tells each call.
struct Scripted {
    acquires: Mutex<VecDeque<Result<LockTry>>>,
    renewals: Mutex<VecDeque<Result<Renewal>>>,
    calls: mpsc::UnboundedSender<Call>,
}

impl Scripted {
    async fn answer<V>(&self, call: Call, answers: &Mutex<VecDeque<Result<V>>>) -> Result<V> {
        let answer = answers.lock().unwrap().pop_front();
        self.calls.send(call).unwrap();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl LockStore for Scripted {
    async fn acquire(&self, _: &StoreKey, hold: &Hold<'_>) -> Result<LockTry> {
        let call = Call::Acquire(hold.owner.to_owned());
        self.answer(call, &self.acquires).await
    }

    async fn renew(&self, leases: &[LockLease<'_>]) -> Vec<Result<Renewal>> {
        assert_eq!(leases.len(), 1);
        vec![self.answer(Call::Renew, &self.renewals).await]
    }

    async fn replicate(&self, _: &LockLease<'_>, _: u32) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn scan(&self, _: &StoreKey, _: ScanFrom) -> Result<ScanPart> {
        Ok(ScanPart::default())
    }

    async fn release(&self, _: &StoreKey, owner: &str) -> Result<LockRelease> {
        self.calls.send(Call::Release(owner.to_owned())).unwrap();
        Ok(LockRelease::Released)
    }

    async fn inspect(&self, _: &StoreKey) -> Result<LockView> {
        Ok(LockView::default())
    }

    async fn break_hold(&self, _: &StoreKey, _: &BreakOrder<'_>) -> Result<LockRelease> {
        Ok(LockRelease::NotHeld)
    }

    async fn wakeups(&self, _: &StoreKey, _: &str) -> Result<Box<dyn Wakeups>> {
        Err(unknown())
    }

    fn wakeups_at_hand(&self, _: &StoreKey, _: &str) -> Option<Box<dyn Wakeups>> {
        None
    }
}

struct Scene {
    lock: Lock,
    clock: ManualClock,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Scene {
    fn new(
        acquires: impl IntoIterator<Item = Result<LockTry>>,
        renewals: impl IntoIterator<Item = Result<Renewal>>,
    ) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let clock = ManualClock::new();
        let store = Scripted {
            acquires: Mutex::new(acquires.into_iter().collect()),
            renewals: Mutex::new(renewals.into_iter().collect()),
            calls: sender,
        };
        let keeper = Keeper::new(Arc::new(store), Arc::new(clock.clone()));
        let terms = Terms::new(keeper, Keyspace::default(), Duration::from_secs(3));
        let lock = LockBuilder::new(terms, "report");
        Self {
            lock: lock.ttl(TTL).build().unwrap(),
            clock,
            calls,
        }
    }

    async fn call(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    async fn acquired(&mut self) -> (LockGuard, String) {
        let Acquire::Acquired(guard) = self.lock.try_acquire().await.unwrap() else {
            panic!("the script lets it be acquired");
        };
        let Call::Acquire(owner) = self.call().await else {
            panic!("an acquisition comes first");
        };
        (guard, owner)
    }

    /// Moves the clock until the renewal task has called.
    async fn renewed(&mut self, after: Duration) {
        tokio::task::yield_now().await;
        self.clock.advance(after);
        assert_eq!(self.call().await, Call::Renew);
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::Unknown, "reply lost")
}

fn acquired() -> LockTry {
    LockTry::Acquired { fence: 7 }
}

fn held() -> LockTry {
    LockTry::Held {
        left: Some(TTL),
        holder: Some("other".to_owned()),
        before: None,
    }
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_as_the_same_owner() {
    let mut scene = Scene::new([Err(unknown()), Ok(acquired())], []);
    let (lock, clock) = (scene.lock.clone(), scene.clock.clone());
    let attempt = tokio::spawn(async move { lock.try_acquire().await });
    let first = scene.call().await;
    tokio::task::yield_now().await;
    clock.advance(Duration::from_millis(100));
    assert_eq!(scene.call().await, first);
    let Ok(Ok(Acquire::Acquired(guard))) = attempt.await else {
        panic!("the second reply arrived");
    };
    assert_eq!(guard.fence().get(), 7);
}

#[tokio::test]
async fn an_attempt_that_stays_unanswered_is_released_and_reported() {
    let mut scene = Scene::new([Err(unknown()), Err(unknown())], []);
    let (lock, clock) = (scene.lock.clone(), scene.clock.clone());
    let attempt = tokio::spawn(async move { lock.try_acquire().await });
    let Call::Acquire(owner) = scene.call().await else {
        panic!("an acquisition comes first");
    };
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(3));
    assert_eq!(scene.call().await, Call::Acquire(owner.clone()));
    assert_eq!(scene.call().await, Call::Release(owner));
    assert_eq!(
        attempt.await.unwrap().unwrap_err().kind(),
        ErrorKind::Unknown
    );
}

#[tokio::test]
async fn a_dropped_attempt_releases_what_it_may_have_taken() {
    let mut scene = Scene::new([], []);
    let attempt = scene.lock.try_acquire();
    let mut attempt = Box::pin(attempt);
    assert!(futures_util::poll!(&mut attempt).is_pending());
    drop(attempt);
    let Call::Acquire(owner) = scene.call().await else {
        panic!("an acquisition comes first");
    };
    assert_eq!(scene.call().await, Call::Release(owner));
}

#[tokio::test]
async fn a_held_lock_is_reported_and_nothing_is_released() {
    let mut scene = Scene::new([Ok(held())], []);
    let attempt = scene.lock.try_acquire().await.unwrap();
    assert!(matches!(attempt, Acquire::Held { holder, .. } if holder == "other"));
    assert!(matches!(scene.call().await, Call::Acquire(_)));
    tokio::task::yield_now().await;
    assert!(scene.calls.is_empty());
}

#[tokio::test]
async fn a_waiter_who_is_not_called_looks_again_before_its_place_ends() {
    let mut scene = Scene::new([Ok(held()), Ok(acquired())], []);
    let (lock, clock) = (scene.lock.clone(), scene.clock.clone());
    let attempt = tokio::spawn(async move { lock.acquire(TTL).await });
    scene.call().await;
    tokio::task::yield_now().await;
    clock.advance(Duration::from_millis(600));
    scene.call().await;
    assert!(matches!(attempt.await.unwrap(), Ok(Acquire::Acquired(_))));
}

#[tokio::test]
async fn a_guard_is_lost_at_its_deadline_when_nothing_answers() {
    let mut scene = Scene::new([Ok(acquired())], [Err(unknown())]);
    let (guard, _) = scene.acquired().await;
    scene.renewed(TTL / 3).await;
    scene.renewed(TTL / 3).await;
    assert!(guard.check().is_ok());
    let left = guard.deadline().since(scene.clock.now());
    scene.clock.advance(left);
    guard.lost().await;
    assert_eq!(
        guard.check().unwrap_err().to_string(),
        "lock report is lost"
    );
}

#[tokio::test]
async fn a_guard_is_lost_at_once_when_the_lock_is_not_its_own_any_more() {
    let mut scene = Scene::new([Ok(acquired())], [Ok(Renewal::NotHeld)]);
    let (guard, _) = scene.acquired().await;
    scene.renewed(TTL / 3).await;
    guard.lost().await;
    assert!(guard.deadline() > scene.clock.now());
    assert!(guard.is_lost());
}

#[tokio::test]
async fn renewals_move_the_deadline_until_the_guard_releases() {
    let mut scene = Scene::new([Ok(acquired())], [Ok(Renewal::Renewed { fence: 7 })]);
    let (guard, owner) = scene.acquired().await;
    let before = guard.deadline();
    scene.renewed(TTL / 3).await;
    tokio::task::yield_now().await;
    assert_eq!(guard.deadline().since(before), TTL / 3);
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    assert_eq!(scene.call().await, Call::Release(owner));
    tokio::task::yield_now().await;
    assert!(scene.calls.is_empty());
}

#[tokio::test]
async fn a_dropped_guard_releases_in_the_background() {
    let mut scene = Scene::new([Ok(acquired())], []);
    let (guard, owner) = scene.acquired().await;
    drop(guard);
    assert_eq!(scene.call().await, Call::Release(owner));
}

#[tokio::test]
async fn one_task_renews_for_who_takes_and_releases_again_and_again() {
    let scene = Scene::new([Ok(acquired()), Ok(acquired())], []);
    let tasks = || Handle::current().metrics().num_alive_tasks();
    for _ in 0..2 {
        let Acquire::Acquired(guard) = scene.lock.try_acquire().await.unwrap() else {
            panic!("the script lets it be acquired");
        };
        assert_eq!(tasks(), 1);
        guard.release().await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(tasks(), 1);
    }
    tokio::task::yield_now().await;
    scene.clock.advance(Duration::from_secs(20));
    tokio::task::yield_now().await;
    scene.clock.advance(Duration::from_secs(20));
    tokio::task::yield_now().await;
    assert_eq!(tasks(), 0);
}
