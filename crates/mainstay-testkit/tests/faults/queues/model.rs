//! Memory and the scripts decide alike, whatever comes in whatever order.

mod memory;
mod scripts;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_testkit::fixture::{Flavor, Server};

use self::memory::Memory;
use self::scripts::Scripts;
use self::steps::{Step, Steps};
use super::super::{extent, on_both_flavors};

on_both_flavors! {
    random_steps_of_a_queue_are_answered_alike
}

/// Steps that the server is sent together.
const BATCH: usize = 500;
const MAX_LEN: u64 = 30;
const ATTEMPTS: u32 = 3;
const LETTERS: u64 = 5;
const LETTER_AGE_MS: u64 = 5_000;
const DEDUPE_MS: u64 = 2_000;
const CONSUMER: &str = "somebody";

/// A delivery, as both must tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    id: String,
    fence: u64,
    attempt: u32,
    pushed_ms: u64,
    key: String,
    payload: Vec<u8>,
}

/// A dead letter, as both must tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dead {
    id: String,
    attempts: u32,
    times_ms: (u64, u64),
    consumer: String,
    key: String,
    reason: String,
    payload: Vec<u8>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// A digit for each.
    Digits(String),
    Given(Vec<Given>),
    Dead(Vec<Dead>),
    Counts(Vec<u64>),
}

/// What must be true whatever both say.
#[derive(Debug, Default)]
struct Witness {
    fence: u64,
    /// What may be in flight, by fence.
    in_flight: BTreeMap<u64, Given>,
    counts: BTreeMap<&'static str, u64>,
}

impl Witness {
    fn count(&mut self, what: &'static str, many: usize) {
        *self.counts.entry(what).or_default() += many as u64;
    }

    fn sees(&mut self, step: &Step, answer: &Answer) {
        match (step, answer) {
            (Step::Take { .. }, Answer::Given(given)) => {
                for job in given {
                    assert!(job.fence > self.fence, "fences rise: {job:?}");
                    self.fence = job.fence;
                    assert!((1..=ATTEMPTS).contains(&job.attempt), "{job:?}");
                    self.count("repeated", usize::from(job.attempt > 1));
                    // Whoever had it, or another of its key, has it no longer.
                    self.in_flight.retain(|_, held| {
                        held.id != job.id && (held.key.is_empty() || held.key != job.key)
                    });
                    self.in_flight.insert(job.fence, job.clone());
                }
                self.count("taken", given.len());
                let keys: Vec<_> = given
                    .iter()
                    .map(|job| &job.key)
                    .filter(|key| !key.is_empty())
                    .collect();
                let different: BTreeSet<_> = keys.iter().collect();
                assert_eq!(keys.len(), different.len(), "two of a key: {given:?}");
            }
            (Step::Settle { ends }, Answer::Digits(digits)) => {
                for (end, digit) in ends.iter().zip(digits.chars()) {
                    let held = self.in_flight.contains_key(&end.fence);
                    // What another had meanwhile is refused.
                    assert!(digit == '0' || held, "{end:?} was {digit}");
                    if digit != '0' {
                        self.in_flight.remove(&end.fence);
                    }
                    self.count(if digit == '0' { "refused" } else { end.verb }, 1);
                }
            }
            (Step::Renew { held, .. }, Answer::Digits(digits)) => {
                for (ticket, digit) in held.iter().zip(digits.chars()) {
                    assert!(
                        digit == '0' || self.in_flight.contains_key(&ticket.1),
                        "{ticket:?}"
                    );
                    self.count("renewed", usize::from(digit == '1'));
                }
            }
            (Step::Push { .. }, Answer::Digits(digits)) => {
                let what = match digits.as_str() {
                    "0" => "full",
                    "1" => "pushed",
                    _ => "known",
                };
                self.count(what, 1);
            }
            (Step::Dead { .. }, Answer::Dead(letters)) => self.count("letters", letters.len()),
            (Step::Replay { .. }, Answer::Counts(many)) => {
                self.count("replayed", usize::try_from(many[0]).unwrap());
            }
            (Step::Purge { .. }, Answer::Counts(many)) => {
                self.count("purged", usize::try_from(many[0]).unwrap());
            }
            (Step::Stats, Answer::Counts(counts)) => {
                let jobs: u64 = counts[..4].iter().sum();
                // A replay is no push.
                assert!(jobs <= MAX_LEN + 40, "{counts:?}");
                assert!(counts[4] <= LETTERS, "{counts:?}");
                assert_eq!(counts[6], 0, "{counts:?}");
                self.count("dropped", usize::from(counts[5] > 0));
            }
            other => panic!("an answer of another kind: {other:?}"),
        }
    }
}

async fn random_steps_of_a_queue_are_answered_alike(flavor: Flavor) {
    let steps = extent(10_000, 400_000);
    let server = Server::start(flavor).await;
    let mut scripts = Scripts::load(&server).await;
    let mut memory = Memory::new();
    let mut source = Steps::new();
    let mut witness = Witness::default();
    for batch in 0..steps / BATCH {
        let mut expected = Vec::new();
        for _ in 0..BATCH {
            let (now, step) = source.next_step();
            let answer = memory.ask(now, &step);
            if let Answer::Given(given) = &answer {
                source.were_given(given);
            }
            witness.sees(&step, &answer);
            expected.push((now, step, answer));
        }
        let said = scripts.ask(&expected).await;
        for ((now, step, answer), said) in expected.iter().zip(said) {
            assert_eq!(said, *answer, "{flavor}: at {now}, batch {batch}: {step:?}");
        }
    }
    println!(
        "{flavor}: {steps} steps of a queue, memory and scripts alike: {:?}",
        witness.counts
    );
    for (what, many) in &witness.counts {
        assert!(*many > 20, "too few: {what}");
    }
    assert_eq!(witness.counts.len(), 15, "{:?}", witness.counts);
}
