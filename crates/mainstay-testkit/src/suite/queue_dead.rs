//! Queues: what becomes of jobs that fail.

use std::time::Duration;

use mainstay::queue::{Leased, Outcome, Pushed, Queue, QueueBuilder, Settled};

use super::{Subject, ms};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = ms(100);
const MARGIN: Duration = ms(10);

fn built(builder: QueueBuilder<u32>) -> Queue<u32> {
    builder.build().unwrap()
}

fn twice(subject: &Subject) -> Queue<u32> {
    built(subject.stay().queue("jobs").max_attempts(2))
}

async fn take_one(queue: &Queue<u32>, lease: Duration) -> Leased {
    let mut taken = queue.take("somebody", 1, lease).await.unwrap();
    taken.pop().expect("there is a job")
}

async fn settle(queue: &Queue<u32>, job: &Leased, outcome: Outcome) -> Settled {
    let outcomes = [(job.ticket.clone(), outcome)];
    queue.settle(&outcomes).await.unwrap()[0]
}

fn failed(reason: &str) -> Outcome {
    Outcome::Retry {
        after: Duration::ZERO,
        reason: reason.to_owned(),
    }
}

fn dead(reason: &str) -> Outcome {
    let reason = reason.to_owned();
    Outcome::Dead { reason }
}

/// A job that is dead at once.
async fn kill(queue: &Queue<u32>, id: &str, data: u32) {
    let pushed = queue.job(&data).id(id).push().await.unwrap();
    assert!(matches!(pushed, Pushed::Added { .. }));
    let job = take_one(queue, LONG).await;
    assert_eq!(settle(queue, &job, dead("by hand")).await, Settled::Settled);
}

pub async fn a_job_is_dead_after_its_last_attempt(subject: &Subject) {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let queue = twice(subject);
    let job = queue.job(&7).id("seven").key("k").traceparent(TRACE);
    drop(job.push().await.unwrap());
    let first = take_one(&queue, LONG).await;
    assert_eq!(first.traceparent.as_deref(), Some(TRACE));
    assert_eq!(
        settle(&queue, &first, failed("once")).await,
        Settled::Settled
    );
    subject.advance(MARGIN).await;
    let second = take_one(&queue, LONG).await;
    assert_eq!(
        settle(&queue, &second, failed("twice \0ü")).await,
        Settled::Dead
    );
    let letters = queue.dead(0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.id.as_str(), letter.attempts), ("seven", 2));
    assert_eq!(
        (letter.reason.as_str(), letter.consumer.as_str()),
        ("twice \0ü", "somebody")
    );
    assert_eq!(
        (letter.key.as_deref(), letter.traceparent.as_deref()),
        (Some("k"), Some(TRACE))
    );
    assert_eq!(letter.payload, second.payload);
    assert_eq!(letter.pushed_at, first.pushed_at);
    assert!(
        letter.died_at >= letter.pushed_at + MARGIN && letter.died_at < letter.pushed_at + LONG
    );
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.in_flight, stats.dead), (0, 0, 1));
}

pub async fn lost_workers_count_as_attempts(subject: &Subject) {
    let queue = twice(subject);
    for data in [1, 2] {
        drop(queue.job(&data).key("k").push().await.unwrap());
    }
    for attempt in 1..=2 {
        assert_eq!(take_one(&queue, SHORT).await.attempt, attempt);
        subject.advance(SHORT + MARGIN).await;
    }
    // Whoever takes next finds that it is dead, and gets the next of its key.
    let next = take_one(&queue, LONG).await;
    assert_eq!(queue.decode(&next.payload).unwrap(), 2);
    let letters = queue.dead(0, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].attempts), (1, 2));
    assert!(
        letters[0].reason.contains("lease ended"),
        "{}",
        letters[0].reason
    );
}

pub async fn a_job_of_a_key_that_dies_makes_way_for_the_next(subject: &Subject) {
    let queue = twice(subject);
    for data in [1, 2] {
        drop(queue.job(&data).key("k").push().await.unwrap());
    }
    let first = take_one(&queue, LONG).await;
    assert_eq!(
        settle(&queue, &first, dead("never")).await,
        Settled::Settled
    );
    let next = take_one(&queue, LONG).await;
    assert_eq!(queue.decode(&next.payload).unwrap(), 2);
}

pub async fn dead_letters_are_listed_replayed_and_forgotten(subject: &Subject) {
    let queue = twice(subject);
    for (id, data) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        kill(&queue, id, data).await;
        subject.advance(MARGIN).await;
    }
    let ids = async |skip, most| {
        let letters = queue.dead(skip, most).await.unwrap();
        letters
            .into_iter()
            .map(|letter| letter.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(0, 100).await, ["d", "c", "b", "a"]);
    assert_eq!(ids(1, 2).await, ["c", "b"]);
    assert_eq!(queue.replay(&["a", "nobody"]).await.unwrap(), 1);
    assert_eq!(
        queue.replay(&["a"]).await.unwrap(),
        0,
        "it is no letter any more"
    );
    assert_eq!(queue.purge(&["b", "nobody"]).await.unwrap(), 1);
    assert_eq!(
        queue
            .replay_if(|it| it.reason == "by hand" && it.id == "d")
            .await
            .unwrap(),
        1
    );
    assert_eq!(ids(0, 100).await, ["c"]);
    for wanted in [1, 4] {
        let job = take_one(&queue, LONG).await;
        assert_eq!(
            (queue.decode(&job.payload).unwrap(), job.attempt),
            (wanted, 1)
        );
    }
    assert_eq!(queue.purge_if(|_| true).await.unwrap(), 1);
    assert_eq!(queue.stats().await.unwrap().dead, 0);
}

pub async fn dead_letters_are_bounded_and_what_falls_out_is_counted(subject: &Subject) {
    let queue = built(subject.stay().queue("jobs").dead_letters(3, ms(500)));
    for id in 0..5 {
        kill(&queue, &id.to_string(), id).await;
        subject.advance(ms(3)).await;
    }
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.dead_dropped), (3, 2));
    assert_eq!(queue.dead(2, 10).await.unwrap()[0].id, "2");
    subject.advance(ms(500) + MARGIN).await;
    kill(&queue, "late", 9).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.dead_dropped), (1, 5));
}

pub async fn a_letter_whose_id_is_a_job_again_stays_dead(subject: &Subject) {
    let queue = built(subject.stay().queue("jobs").dedupe(ms(50)));
    kill(&queue, "a", 1).await;
    subject.advance(ms(50) + MARGIN).await;
    let pushed = queue.job(&2).id("a").push().await.unwrap();
    assert!(matches!(pushed, Pushed::Added { .. }));
    assert_eq!(queue.replay(&["a"]).await.unwrap(), 0);
    let job = take_one(&queue, LONG).await;
    assert_eq!(queue.decode(&job.payload).unwrap(), 2);
    assert_eq!(settle(&queue, &job, Outcome::Done).await, Settled::Settled);
    assert_eq!(queue.replay(&["a"]).await.unwrap(), 1);
}
