//! Queues: workers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use mainstay::queue::{Delivery, Queue, QueueBuilder, Settled, Worker};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Subject, ms};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = ms(100);

fn built(builder: QueueBuilder<u32>) -> Queue<u32> {
    builder.build().unwrap()
}

fn queue(subject: &Subject) -> Queue<u32> {
    built(subject.stay().queue("jobs").backoff(ms(10), ms(20)))
}

fn worker(queue: &Queue<u32>) -> Worker<u32> {
    queue.worker().lease(LONG).start().unwrap()
}

async fn next(subject: &Subject, worker: &mut Worker<u32>) -> Delivery<u32> {
    subject
        .elapse(worker.next())
        .await
        .expect("the worker runs")
}

pub async fn a_worker_who_waits_is_called(subject: &Subject) {
    const ROUNDS: u32 = 8;
    let queue = queue(subject);
    let mut worker = worker(&queue);
    let work = async {
        for data in 0..ROUNDS {
            let mut waiting = Box::pin(worker.next());
            assert!((&mut waiting).now_or_never().is_none());
            drop(queue.push(&data).await.unwrap());
            let delivery = waiting.await.expect("the worker runs");
            assert_eq!(delivery.job().data, data);
            assert_eq!(delivery.ack().await.unwrap(), Settled::Settled);
        }
    };
    // The clock of the memory backend stands still, and who only looks each second needs twice as long.
    let bound = Duration::from_millis(500) * ROUNDS;
    timeout(bound, work).await.expect("a push wakes a worker");
}

pub async fn workers_share_the_jobs(subject: &Subject) {
    const JOBS: u32 = 200;
    let queue = queue(subject);
    let all: Vec<_> = (0..JOBS).collect();
    queue.push_all(&all).await.unwrap();
    let (mut one, mut two) = (worker(&queue), worker(&queue));
    let mut seen = Vec::new();
    while seen.len() < all.len() {
        let (a, b) = tokio::join!(next(subject, &mut one), next(subject, &mut two));
        for delivery in [a, b] {
            seen.push(delivery.job().data);
            assert_eq!(delivery.ack().await.unwrap(), Settled::Settled);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, all);
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.in_flight), (0, 0));
}

pub async fn no_more_are_in_flight_than_a_worker_may_have(subject: &Subject) {
    let queue = queue(subject);
    queue.push_all(&[0; 20]).await.unwrap();
    let mut worker = queue.worker().concurrency(3).start().unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(subject, &mut worker).await);
    }
    subject.advance(ms(50)).await;
    assert!(worker.next().now_or_never().is_none());
    assert_eq!(queue.stats().await.unwrap().in_flight, 3);
    let done = held.pop().unwrap();
    assert_eq!(done.ack().await.unwrap(), Settled::Settled);
    held.push(next(subject, &mut worker).await);
    assert_eq!(queue.stats().await.unwrap().in_flight, 3);
}

pub async fn a_long_job_is_extended_while_its_worker_lives(subject: &Subject) {
    let queue = queue(subject);
    drop(queue.push(&1).await.unwrap());
    let mut worker = queue.worker().lease(ms(300)).start().unwrap();
    let delivery = next(subject, &mut worker).await;
    for _ in 0..6 {
        subject.advance(ms(150)).await;
        assert!(queue.take("another", 1, LONG).await.unwrap().is_empty());
    }
    assert!(!delivery.is_lost());
    assert_eq!(delivery.ack().await.unwrap(), Settled::Settled);
}

pub async fn a_worker_learns_that_it_has_lost_a_delivery(subject: &Subject) {
    let queue = queue(subject);
    drop(queue.push(&1).await.unwrap());
    // It may not take the job again before another does.
    let worker = queue.worker().concurrency(1).lease(ms(300));
    let mut worker = worker.start().unwrap();
    let delivery = next(subject, &mut worker).await;
    let ticket = mainstay::queue::Ticket {
        id: delivery.job().id.clone(),
        fence: delivery.job().fence,
    };
    // Somebody takes it away.
    let outcome = mainstay::queue::Outcome::Back;
    assert_eq!(
        queue.settle(&[(ticket, outcome)]).await.unwrap(),
        [Settled::Settled]
    );
    let other = queue.take("another", 1, LONG).await.unwrap();
    subject.elapse(delivery.lost()).await;
    assert!(delivery.is_lost());
    assert_eq!(delivery.ack().await.unwrap(), Settled::Lost);
    drop(delivery);
    subject.advance(ms(50)).await;
    assert_eq!(queue.stats().await.unwrap().in_flight, 1);
    let renewed = queue.renew(&[other[0].ticket.clone()], LONG).await.unwrap();
    assert_eq!(renewed, [true]);
}

pub async fn a_dropped_delivery_is_a_failed_attempt(subject: &Subject) {
    let queue = queue(subject);
    drop(queue.push(&1).await.unwrap());
    let mut worker = worker(&queue);
    for attempt in 1..=3 {
        let delivery = next(subject, &mut worker).await;
        assert_eq!(delivery.job().attempt, attempt);
        drop(delivery);
    }
}

pub async fn what_cannot_be_decoded_is_dead_and_others_go_on(subject: &Subject) {
    let texts = subject.stay().queue::<String>("jobs").build().unwrap();
    drop(texts.push(&"no number".to_owned()).await.unwrap());
    let queue = queue(subject);
    drop(queue.push(&1).await.unwrap());
    let mut worker = worker(&queue);
    let delivery = next(subject, &mut worker).await;
    assert_eq!(delivery.job().data, 1);
    assert_eq!(delivery.ack().await.unwrap(), Settled::Settled);
    worker.drain(LONG).await;
    let letters = queue.dead(0, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].attempts), (1, 1));
    assert!(
        letters[0].reason.starts_with("undecodable"),
        "{}",
        letters[0].reason
    );
    assert_eq!(&letters[0].payload[..], b"\"no number\"");
}

pub async fn a_handler_decides_by_what_it_returns(subject: &Subject) {
    let queue = built(
        subject
            .stay()
            .queue("jobs")
            .backoff(ms(10), ms(20))
            .max_attempts(2),
    );
    // Done, fails, panics, never ends.
    queue.push_all(&[0, 1, 2, 3]).await.unwrap();
    let calls = Arc::new(Mutex::new(BTreeMap::<u32, Vec<u32>>::new()));
    let (over, end) = oneshot::channel::<()>();
    let worker = queue.worker().deadline(SHORT).start().unwrap();
    let seen = Arc::clone(&calls);
    let work = worker.serve(end.map(drop), move |job| {
        let calls = Arc::clone(&seen);
        async move {
            calls
                .lock()
                .unwrap()
                .entry(job.data)
                .or_default()
                .push(job.attempt);
            match job.data {
                0 => Ok(()),
                1 => Err("it rains"),
                2 => panic!("it pours"),
                _ => std::future::pending().await,
            }
        }
    });
    let watch = async {
        while queue.stats().await.unwrap().dead < 3 {
            subject.advance(ms(5)).await;
        }
        over.send(()).unwrap();
    };
    subject.elapse(async { tokio::join!(work, watch) }).await;
    let calls = calls.lock().unwrap().clone();
    let twice = |data| (data, vec![1, 2]);
    assert_eq!(calls, [(0, vec![1]), twice(1), twice(2), twice(3)].into());
    let letters = queue.dead(0, 10).await.unwrap();
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "it rains",
            "not done within Some(100ms)",
            "the handler panicked"
        ]
    );
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.delayed, stats.in_flight), (0, 0, 0));
}

pub async fn jobs_of_one_key_are_never_worked_on_together(subject: &Subject) {
    const EACH: u32 = 20;
    let queue = queue(subject);
    for data in 0..EACH {
        for key in ["a", "b", "c"] {
            drop(queue.job(&data).key(key).push().await.unwrap());
        }
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let (over, end) = oneshot::channel::<()>();
    let end = end.map(drop).shared();
    let serve = |worker: Worker<u32>| {
        let tell = tell.clone();
        let fails = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
        worker.serve(end.clone(), move |job| {
            let (tell, fails) = (tell.clone(), Arc::clone(&fails));
            async move {
                let key = job.key.unwrap_or_default();
                tell.send((key.clone(), job.data, true)).unwrap();
                tokio::task::yield_now().await;
                // Some fail once.
                let failed =
                    job.data % 7 == 3 && fails.lock().unwrap().insert((key.clone(), job.data));
                tell.send((key, job.data, false)).unwrap();
                if failed && job.attempt == 1 {
                    Err("again")
                } else {
                    Ok(())
                }
            }
        })
    };
    let (one, two) = (serve(worker(&queue)), serve(worker(&queue)));
    let watch = async {
        let mut under_way = BTreeMap::<String, u32>::new();
        let mut last = BTreeMap::<String, u32>::new();
        while last.len() < 3 || last.values().any(|data| *data < EACH - 1) {
            let (key, data, begins) = told.recv().await.unwrap();
            if begins {
                assert_eq!(under_way.insert(key.clone(), data), None, "two of {key}");
                let before = last.insert(key, data);
                assert!(before.map_or(data == 0, |before| data == before || data == before + 1));
            } else {
                assert_eq!(under_way.remove(&key), Some(data));
            }
        }
        over.send(()).unwrap();
    };
    subject
        .elapse(async { tokio::join!(one, two, watch) })
        .await;
}

pub async fn a_worker_that_ends_gives_back_what_is_not_done(subject: &Subject) {
    let queue = queue(subject);
    queue.push_all(&[1, 2, 3]).await.unwrap();
    let mut worker = worker(&queue);
    // Two are out, one was not taken from it yet.
    let (first, second) = (
        next(subject, &mut worker).await,
        next(subject, &mut worker).await,
    );
    let done = async {
        subject.advance(ms(20)).await;
        assert_eq!(first.ack().await.unwrap(), Settled::Settled);
    };
    subject
        .elapse(async { tokio::join!(worker.drain(SHORT), done) })
        .await;
    assert!(second.is_lost());
    drop(second.ack().await.unwrap_err());
    let mut taken = queue.take("another", 10, LONG).await.unwrap();
    taken.sort_by_key(|job| queue.decode(&job.payload).unwrap());
    let seen = taken
        .iter()
        .map(|job| (queue.decode(&job.payload).unwrap(), job.attempt));
    assert_eq!(seen.collect::<Vec<_>>(), [(2, 1), (3, 1)]);
}

pub async fn a_handler_has_the_grace_to_end(subject: &Subject) {
    let queue = queue(subject);
    queue.push_all(&[1, 2]).await.unwrap();
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (over, end) = oneshot::channel::<()>();
    let (finish, finished) = oneshot::channel::<()>();
    let finished = finished.map(drop).shared();
    let worker = queue.worker().lease(LONG).grace(SHORT).start().unwrap();
    let work = worker.serve(end.map(drop), move |job| {
        begun.send(job.data).unwrap();
        let finished = finished.clone();
        async move {
            if job.data == 1 {
                finished.await;
            } else {
                std::future::pending::<()>().await;
            }
            Ok::<_, &str>(())
        }
    });
    let watch = async {
        begins.recv().await.unwrap();
        begins.recv().await.unwrap();
        over.send(()).unwrap();
        tokio::task::yield_now().await;
        finish.send(()).unwrap();
    };
    subject.elapse(async { tokio::join!(work, watch) }).await;
    let taken = queue.take("another", 10, LONG).await.unwrap();
    let seen = taken
        .iter()
        .map(|job| (queue.decode(&job.payload).unwrap(), job.attempt));
    assert_eq!(seen.collect::<Vec<_>>(), [(2, 1)]);
}
