//! The memory backend, by a clock that the steps set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mainstay::Options;
use mainstay::clock::{Clock, Moment};
use mainstay::queue::{Outcome, Pushed, Queue, Settled, Ticket};

use super::steps::{End, Step};
use super::{ATTEMPTS, Answer, CONSUMER, DEDUPE_MS, Dead, Given, LETTER_AGE_MS, LETTERS, MAX_LEN};

#[derive(Debug, Default)]
struct SetClock(AtomicU64);

impl SetClock {
    fn time(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for SetClock {
    fn now(&self) -> Moment {
        Moment::default().after(self.time())
    }

    fn unix(&self) -> Duration {
        self.time()
    }

    fn sleep_until(&self, _deadline: Moment) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

pub(super) struct Memory {
    clock: Arc<SetClock>,
    queue: Queue<u32>,
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn whole(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

fn ticket((id, fence): &(String, u64)) -> Ticket {
    Ticket {
        id: id.clone(),
        fence: *fence,
    }
}

fn end(end: &End) -> (Ticket, Outcome) {
    let reason = format!("for {}", end.after_ms);
    let outcome = match end.verb {
        "done" => Outcome::Done,
        "retry" => Outcome::Retry {
            after: ms(end.after_ms),
            reason,
        },
        "back" => Outcome::Back,
        _ => Outcome::Dead { reason },
    };
    (ticket(&(end.id.clone(), end.fence)), outcome)
}

impl Memory {
    pub(super) fn new() -> Self {
        let clock = Arc::new(SetClock::default());
        let options = Options::new().clock(Arc::clone(&clock) as _);
        let stay = options.connect("memory:").now_or_never().unwrap().unwrap();
        let queue = stay.queue("jobs").max_attempts(ATTEMPTS).max_len(MAX_LEN);
        let queue = queue
            .dedupe(ms(DEDUPE_MS))
            .dead_letters(LETTERS, ms(LETTER_AGE_MS));
        Self {
            clock,
            queue: queue.build().unwrap(),
        }
    }

    pub(super) fn ask(&mut self, now: u64, step: &Step) -> Answer {
        self.clock.0.store(now, Ordering::SeqCst);
        self.answer(step)
            .now_or_never()
            .expect("memory answers at once")
    }

    async fn answer(&self, step: &Step) -> Answer {
        let queue = &self.queue;
        match step {
            Step::Push {
                id,
                key,
                delay_ms,
                data,
            } => {
                let mut job = queue.job(data).id(id).delay(ms(*delay_ms));
                if !key.is_empty() {
                    job = job.key(*key);
                }
                let digit = match job.push().await.unwrap() {
                    Pushed::Full => "0",
                    Pushed::Added { .. } => "1",
                    _ => "2",
                };
                Answer::Digits(digit.to_owned())
            }
            Step::Take { most, lease_ms } => {
                let taken = queue.take(CONSUMER, *most, ms(*lease_ms)).await.unwrap();
                let given = taken.into_iter().map(|job| Given {
                    id: job.ticket.id,
                    fence: job.ticket.fence,
                    attempt: job.attempt,
                    pushed_ms: whole(job.pushed_at),
                    key: job.key.unwrap_or_default(),
                    payload: job.payload.to_vec(),
                });
                Answer::Given(given.collect())
            }
            Step::Renew { held, lease_ms } => {
                let tickets: Vec<_> = held.iter().map(ticket).collect();
                let renewed = queue.renew(&tickets, ms(*lease_ms)).await.unwrap();
                Answer::Digits(
                    renewed
                        .iter()
                        .map(|renewed| if *renewed { '1' } else { '0' })
                        .collect(),
                )
            }
            Step::Settle { ends } => {
                let ends: Vec<_> = ends.iter().map(end).collect();
                let settled = queue.settle(&ends).await.unwrap();
                let digits = settled.iter().map(|settled| match settled {
                    Settled::Lost => '0',
                    Settled::Settled => '1',
                    _ => '2',
                });
                Answer::Digits(digits.collect())
            }
            Step::Dead { skip, most } => {
                let letters = queue.dead(*skip, *most).await.unwrap();
                let letters = letters.into_iter().map(|letter| Dead {
                    id: letter.id,
                    attempts: letter.attempts,
                    times_ms: (whole(letter.pushed_at), whole(letter.died_at)),
                    consumer: letter.consumer,
                    key: letter.key.unwrap_or_default(),
                    reason: letter.reason,
                    payload: letter.payload.to_vec(),
                });
                Answer::Dead(letters.collect())
            }
            Step::Replay { ids } => Answer::Counts(vec![queue.replay(ids).await.unwrap()]),
            Step::Purge { ids } => Answer::Counts(vec![queue.purge(ids).await.unwrap()]),
            Step::Stats => {
                let seen = queue.stats().await.unwrap();
                Answer::Counts(vec![
                    seen.ready,
                    seen.delayed,
                    seen.in_flight,
                    seen.behind,
                    seen.dead,
                    seen.dead_dropped,
                    seen.lost,
                ])
            }
        }
    }
}
