//! Queues: deliveries, leases, fences, order.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::ErrorKind;
use mainstay::Mainstay;
use mainstay::queue::{Leased, Outcome, Pushed, Queue, Settled, Ticket};
use tokio::time::timeout;

use super::{Subject, ms};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);
/// The shortest that is allowed.
const SHORT: Duration = ms(100);
/// Milliseconds may begin anywhere.
const MARGIN: Duration = ms(10);

fn queue(stay: &Mainstay) -> Queue<u32> {
    stay.queue("jobs").build().unwrap()
}

async fn push(queue: &Queue<u32>, data: u32) -> String {
    match queue.push(&data).await.unwrap() {
        Pushed::Added { id } => id,
        other => panic!("not added: {other:?}"),
    }
}

async fn take(queue: &Queue<u32>, lease: Duration) -> Vec<Leased> {
    queue.take("somebody", 100, lease).await.unwrap()
}

fn data(queue: &Queue<u32>, leased: &[Leased]) -> Vec<u32> {
    let data = leased.iter().map(|job| queue.decode(&job.payload).unwrap());
    data.collect()
}

async fn settle(queue: &Queue<u32>, ticket: &Ticket, outcome: Outcome) -> Settled {
    let outcomes = [(ticket.clone(), outcome)];
    queue.settle(&outcomes).await.unwrap()[0]
}

fn failed(after: Duration) -> Outcome {
    let reason = "it rains".to_owned();
    Outcome::Retry { after, reason }
}

pub async fn a_job_is_gone_when_it_is_done(subject: &Subject) {
    let queue = queue(subject.stay());
    let id = push(&queue, 7).await;
    let taken = take(&queue, LONG).await;
    assert_eq!(data(&queue, &taken), [7]);
    let job = &taken[0];
    assert_eq!((&job.ticket.id, job.attempt, &job.key), (&id, 1, &None));
    // At least the store's clock in microseconds, which is after 2019.
    assert!(job.ticket.fence > 1_550_000_000_000_000);
    assert!(
        take(&queue, LONG).await.is_empty(),
        "it was delivered twice"
    );
    assert_eq!(queue.stats().await.unwrap().in_flight, 1);
    assert_eq!(
        settle(&queue, &job.ticket, Outcome::Done).await,
        Settled::Settled
    );
    assert_eq!(
        settle(&queue, &job.ticket, Outcome::Done).await,
        Settled::Lost
    );
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.in_flight, stats.dead), (0, 0, 0));
}

pub async fn jobs_come_in_the_order_in_which_they_were_pushed(subject: &Subject) {
    let queue = queue(subject.stay());
    push(&queue, 0).await;
    let more: Vec<_> = (1..300).collect();
    let pushed = queue.push_all(&more).await.unwrap();
    assert!(pushed.len() == 299 && pushed.iter().all(|it| matches!(it, Pushed::Added { .. })));
    let (mut seen, mut fences) = (Vec::new(), Vec::new());
    while seen.len() < 300 {
        let taken = queue.take("somebody", 7, LONG).await.unwrap();
        assert!(!taken.is_empty() && taken.len() <= 7);
        seen.extend(data(&queue, &taken));
        fences.extend(taken.iter().map(|job| job.ticket.fence));
    }
    assert_eq!(seen, (0..300).collect::<Vec<_>>());
    assert!(fences.is_sorted_by(|a, b| a < b), "fences rise");
}

pub async fn a_delayed_job_comes_when_it_is_due_and_not_before(subject: &Subject) {
    let queue = queue(subject.stay());
    let pushed = queue.job(&1).delay(ms(200)).push().await.unwrap();
    assert!(matches!(pushed, Pushed::Added { .. }));
    push(&queue, 2).await;
    assert_eq!(data(&queue, &take(&queue, LONG).await), [2]);
    assert_eq!(queue.stats().await.unwrap().delayed, 1);
    subject.advance(ms(200) + MARGIN).await;
    assert_eq!(data(&queue, &take(&queue, LONG).await), [1]);
    for delay in [Duration::from_secs(28 * 24 * 3_600 + 1), Duration::MAX] {
        let refused = queue.job(&1).delay(delay).push().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

pub async fn an_id_is_pushed_once_within_its_window(subject: &Subject) {
    let queue = subject.stay().queue::<u32>("jobs").dedupe(ms(300));
    let queue = queue.build().unwrap();
    let push = async |data: u32| queue.job(&data).id("it").push().await.unwrap();
    let id = "it".to_owned();
    assert_eq!(push(1).await, Pushed::Added { id: id.clone() });
    assert_eq!(push(2).await, Pushed::Duplicate { id: id.clone() });
    let taken = take(&queue, LONG).await;
    assert_eq!(data(&queue, &taken), [1]);
    // It is there still, however long ago it was pushed.
    subject.advance(ms(300) + MARGIN).await;
    assert_eq!(push(3).await, Pushed::Duplicate { id: id.clone() });
    assert_eq!(
        settle(&queue, &taken[0].ticket, Outcome::Done).await,
        Settled::Settled
    );
    assert_eq!(push(4).await, Pushed::Added { id: id.clone() });
    let taken = take(&queue, LONG).await;
    assert_eq!(
        settle(&queue, &taken[0].ticket, Outcome::Done).await,
        Settled::Settled
    );
    // It is done, and known still.
    assert_eq!(push(5).await, Pushed::Duplicate { id });
    assert!(take(&queue, LONG).await.is_empty());
}

pub async fn concurrent_pushes_of_one_id_add_one_job(subject: &Subject) {
    let queue = queue(subject.stay());
    let calls = (0..20).map(|data| {
        let queue = queue.clone();
        async move { queue.job(&data).id("same").push().await.unwrap() }
    });
    let pushed = join_all(calls).await;
    let added = pushed
        .iter()
        .filter(|it| matches!(it, Pushed::Added { .. }));
    assert_eq!(added.count(), 1);
    assert_eq!(take(&queue, LONG).await.len(), 1);
}

pub async fn a_full_queue_says_so_and_drops_nothing(subject: &Subject) {
    let queue = subject.stay().queue::<u32>("jobs").max_len(3);
    let queue = queue.build().unwrap();
    for data in 0..2 {
        push(&queue, data).await;
    }
    let taken = take(&queue, LONG).await;
    let delayed = queue.job(&2).delay(LONG).id("d").push().await.unwrap();
    assert!(matches!(delayed, Pushed::Added { .. }));
    // What is in flight or delayed counts.
    assert_eq!(queue.push(&3).await.unwrap(), Pushed::Full);
    let again = queue.job(&2).id("d").push().await.unwrap();
    assert_eq!(again, Pushed::Duplicate { id: "d".into() });
    assert_eq!(
        settle(&queue, &taken[0].ticket, Outcome::Done).await,
        Settled::Settled
    );
    let pushed = queue.push_all(&[4, 5]).await.unwrap();
    assert!(matches!(pushed[0], Pushed::Added { .. }));
    assert_eq!(pushed[1], Pushed::Full);
}

pub async fn a_job_whose_lease_has_ended_comes_before_all_others(subject: &Subject) {
    let queue = queue(subject.stay());
    let id = push(&queue, 1).await;
    let first = take(&queue, SHORT).await;
    push(&queue, 2).await;
    subject.advance(SHORT + MARGIN).await;
    let second = take(&queue, LONG).await;
    assert_eq!(data(&queue, &second), [1, 2]);
    assert_eq!((&second[0].ticket.id, second[0].attempt), (&id, 2));
    assert!(second[0].ticket.fence > first[0].ticket.fence);
    assert_eq!(second[0].pushed_at, first[0].pushed_at);
}

pub async fn who_has_lost_a_delivery_can_do_nothing_with_it(subject: &Subject) {
    let queue = queue(subject.stay());
    push(&queue, 1).await;
    let late = take(&queue, SHORT).await.remove(0).ticket;
    subject.advance(SHORT + MARGIN).await;
    let ours = take(&queue, LONG).await.remove(0).ticket;
    let reason = "late".to_owned();
    for outcome in [
        Outcome::Done,
        failed(Duration::ZERO),
        Outcome::Back,
        Outcome::Dead { reason },
    ] {
        assert_eq!(settle(&queue, &late, outcome).await, Settled::Lost);
    }
    assert_eq!(
        queue
            .renew(std::slice::from_ref(&late), LONG)
            .await
            .unwrap(),
        [false]
    );
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.in_flight, stats.ready, stats.dead), (1, 0, 0));
    let both = [late, ours.clone()];
    assert_eq!(queue.renew(&both, LONG).await.unwrap(), [false, true]);
    assert_eq!(settle(&queue, &ours, Outcome::Done).await, Settled::Settled);
}

pub async fn a_lease_that_is_renewed_goes_on(subject: &Subject) {
    let queue = queue(subject.stay());
    push(&queue, 1).await;
    let ours = [take(&queue, ms(300)).await.remove(0).ticket];
    for _ in 0..3 {
        subject.advance(ms(150)).await;
        assert_eq!(queue.renew(&ours, ms(300)).await.unwrap(), [true]);
        assert!(take(&queue, LONG).await.is_empty());
    }
    assert_eq!(
        settle(&queue, &ours[0], Outcome::Done).await,
        Settled::Settled
    );
}

pub async fn a_failed_job_comes_again_as_the_same_job(subject: &Subject) {
    let queue = queue(subject.stay());
    let id = push(&queue, 1).await;
    push(&queue, 2).await;
    for attempt in 1..=3 {
        let taken = queue.take("somebody", 1, LONG).await.unwrap();
        let job = &taken[0];
        assert_eq!((&job.ticket.id, job.attempt), (&id, attempt));
        let outcome = failed(Duration::ZERO);
        assert_eq!(settle(&queue, &job.ticket, outcome).await, Settled::Settled);
    }
    let taken = queue.take("somebody", 1, LONG).await.unwrap();
    let outcome = failed(ms(100));
    assert_eq!(
        settle(&queue, &taken[0].ticket, outcome).await,
        Settled::Settled
    );
    let other = take(&queue, LONG).await;
    assert_eq!(data(&queue, &other), [2], "the first is not due yet");
    subject.advance(ms(100) + MARGIN).await;
    let taken = take(&queue, LONG).await;
    assert_eq!((&taken[0].ticket.id, taken[0].attempt), (&id, 5));
}

pub async fn what_is_given_back_does_not_count(subject: &Subject) {
    let queue = subject.stay().queue::<u32>("jobs").max_attempts(1);
    let queue = queue.build().unwrap();
    push(&queue, 1).await;
    for _ in 0..3 {
        let job = take(&queue, LONG).await.remove(0);
        assert_eq!(job.attempt, 1);
        assert_eq!(
            settle(&queue, &job.ticket, Outcome::Back).await,
            Settled::Settled
        );
    }
}

pub async fn jobs_of_one_key_come_one_at_a_time_and_in_order(subject: &Subject) {
    let queue = queue(subject.stay());
    for data in 0..3 {
        for key in ["a", "b:{x}"] {
            drop(queue.job(&data).key(key).push().await.unwrap());
        }
    }
    push(&queue, 100).await;
    let first = take(&queue, SHORT).await;
    assert_eq!(data(&queue, &first), [0, 0, 100]);
    assert_eq!(first[0].key.as_deref(), Some("a"));
    assert_eq!(queue.stats().await.unwrap().behind, 4);
    // One fails, the other's worker is lost: nothing overtakes them.
    let outcome = failed(Duration::ZERO);
    assert_eq!(
        settle(&queue, &first[0].ticket, outcome).await,
        Settled::Settled
    );
    subject.advance(SHORT + MARGIN).await;
    let second = take(&queue, LONG).await;
    let mut seen = data(&queue, &second);
    seen.sort_unstable();
    assert_eq!(seen, [0, 0, 100]);
    let mut done = Vec::new();
    let mut under_way = second;
    while let Some(job) = under_way.pop() {
        done.push((job.key.clone(), queue.decode(&job.payload).unwrap()));
        assert_eq!(
            settle(&queue, &job.ticket, Outcome::Done).await,
            Settled::Settled
        );
        under_way.extend(take(&queue, LONG).await);
    }
    for key in ["a", "b%3A%7Bx%7D"] {
        let of_key = done.iter().filter(|(of, _)| of.as_deref() == Some(key));
        assert_eq!(of_key.map(|(_, data)| *data).collect::<Vec<_>>(), [0, 1, 2]);
    }
    assert_eq!(done.len(), 7);
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.behind, stats.in_flight, stats.ready), (0, 0, 0));
}

pub async fn a_delayed_job_holds_up_the_later_ones_of_its_key(subject: &Subject) {
    let queue = queue(subject.stay());
    drop(queue.job(&1).key("k").push().await.unwrap());
    drop(queue.job(&2).key("k").delay(ms(300)).push().await.unwrap());
    drop(queue.job(&3).key("k").push().await.unwrap());
    let first = take(&queue, LONG).await;
    assert_eq!(data(&queue, &first), [1]);
    assert_eq!(
        settle(&queue, &first[0].ticket, Outcome::Done).await,
        Settled::Settled
    );
    assert!(take(&queue, LONG).await.is_empty());
    subject.advance(ms(300) + MARGIN).await;
    let second = take(&queue, LONG).await;
    assert_eq!(data(&queue, &second), [2]);
    assert_eq!(
        settle(&queue, &second[0].ticket, Outcome::Done).await,
        Settled::Settled
    );
    assert_eq!(data(&queue, &take(&queue, LONG).await), [3]);
}

pub async fn queues_and_namespaces_are_apart(subject: &Subject) {
    let jobs = queue(subject.stay());
    push(&jobs, 1).await;
    let other = subject.stay().queue::<u32>("other").build().unwrap();
    assert!(take(&other, LONG).await.is_empty());
    if let Some(elsewhere) = subject.under("elsewhere").await {
        assert!(take(&queue(&elsewhere), LONG).await.is_empty());
    }
    if let Some(process) = subject.other_process().await {
        assert_eq!(take(&queue(&process), LONG).await.len(), 1);
    }
}

pub async fn many_large_jobs_are_not_taken_at_once(subject: &Subject) {
    use mainstay::codec::Raw;
    let queue = subject.stay().queue::<bytes::Bytes>("large");
    let queue = queue.codec(Raw).build().unwrap();
    let megabyte = bytes::Bytes::from(vec![7; 1 << 20]);
    for _ in 0..6 {
        drop(queue.push(&megabyte).await.unwrap());
    }
    let mut taken = Vec::new();
    while taken.len() < 6 {
        let some = queue.take("somebody", 100, LONG).await.unwrap();
        assert!(!some.is_empty() && some.len() <= 4, "{}", some.len());
        taken.extend(some);
    }
    assert!(taken.iter().all(|job| job.payload == megabyte));
    let larger = bytes::Bytes::from(vec![7; (1 << 20) + 1]);
    let refused = queue.push(&larger).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

pub async fn every_key_of_a_queue_ends(subject: &Subject) {
    let queue = subject.stay().queue::<u32>("jobs").max_attempts(1);
    let queue = queue.build().unwrap();
    for round in 0..2 {
        for data in 0..4 {
            drop(queue.job(&data).key("k").push().await.unwrap());
            drop(queue.job(&data).delay(LONG).push().await.unwrap());
            push(&queue, data).await;
        }
        let taken = take(&queue, LONG).await;
        let outcome = failed(Duration::ZERO);
        assert_eq!(
            settle(&queue, &taken[0].ticket, outcome).await,
            Settled::Dead
        );
        push(&queue, 9).await;
        let mut worker = queue.worker().start().unwrap();
        let next = timeout(Subject::BOUND, subject.elapse(worker.next())).await;
        assert!(next.unwrap().is_some(), "round {round}");
        assert_eq!(subject.endless_keys().await, [""; 0]);
    }
}

pub async fn what_is_out_of_range_is_refused(subject: &Subject) {
    let stay = subject.stay();
    let builders = [
        stay.queue::<u32>("a b"),
        stay.queue("q").max_attempts(0),
        stay.queue("q").max_attempts(1_001),
        stay.queue("q").max_len(0),
        stay.queue("q").dead_letters(0, LONG),
        stay.queue("q").dead_letters(1, Duration::ZERO),
        stay.queue("q").dedupe(Duration::MAX),
        stay.queue("q").backoff(Duration::ZERO, LONG),
        stay.queue("q").max_payload((1 << 20) + 1),
    ];
    for builder in builders {
        assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::Invalid);
    }
    let queue = queue(stay);
    for id in ["", "a\nb", &"x".repeat(257)] {
        let refused = queue.job(&1).id(id).push().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    let refused = queue.job(&1).key("").push().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    for consumer in ["", "a b", &"x".repeat(129)] {
        let refused = queue.take(consumer, 1, LONG).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    for lease in [ms(99), Duration::from_secs(24 * 3_600 + 1)] {
        let refused = queue.take("somebody", 1, lease).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    for concurrency in [0, 1_001] {
        let worker = queue.worker().concurrency(concurrency);
        assert_eq!(worker.start().unwrap_err().kind(), ErrorKind::Invalid);
    }
}
