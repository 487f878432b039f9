//! Memory and the scripts keep the same of a history, whatever is published.

use mainstay::Mainstay;
use mainstay::pubsub::{HistoryItem, Retention, Start};
use mainstay_testkit::fixture::{Flavor, Server};

use super::{connect, extent, on_both_flavors};

on_both_flavors! {
    memory_and_the_scripts_keep_the_same
}

/// One event, and what its publisher keeps.
#[derive(Debug, Clone)]
struct Step {
    size: usize,
    count: u64,
    bytes: u64,
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        // Knuth's MMIX linear congruential generator.
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// Mostly events of a size and a retention that is the same, sometimes others.
    fn step(&mut self) -> Step {
        let size = [300, 300, 300, 4_000][usize::try_from(self.below(4)).unwrap()];
        let is_other = self.below(5) == 0;
        Step {
            size: usize::try_from(self.below(size)).unwrap(),
            count: if is_other { 1 + self.below(40) } else { 30 },
            bytes: if is_other {
                1 + self.below(20_000)
            } else {
                10_000
            },
        }
    }
}

/// Publishes, and reads all that is kept: the numbers and sizes.
async fn run(stay: &Mainstay, name: &str, step: &Step) -> Vec<(u64, usize)> {
    let kept = Retention::count(step.count).bytes(step.bytes);
    let history = stay.channel::<String>(name).history(kept).build().unwrap();
    let data = "x".repeat(step.size);
    history.publish("text", &data).await.unwrap();
    let items = history.read(Start::Beginning, 1_000).await.unwrap();
    let shown = items.into_iter().map(|item| match item {
        HistoryItem::Event {
            position, event, ..
        } => (position.sequence(), event.data.len()),
        other => panic!("no event: {other:?}"),
    });
    shown.collect()
}

async fn memory_and_the_scripts_keep_the_same(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let (redis, memory) = (connect(&server.url()).await, Mainstay::memory());
    let mut numbers = Numbers(1);
    let histories = extent(10, 300);
    let mut trimmed = 0;
    for history in 0..histories {
        let name = format!("model-{history}");
        let mut steps = Vec::new();
        for _ in 0..=numbers.below(80) {
            steps.push(numbers.step());
            let step = steps.last().unwrap();
            let here = run(&memory, &name, step).await;
            let there = run(&redis, &name, step).await;
            assert_eq!(here, there, "after {steps:?}");
            trimmed += usize::from(here.len() < steps.len());
        }
    }
    println!("{flavor}: {histories} histories, trimmed after {trimmed} events");
    assert!(trimmed > 0, "nothing was ever trimmed");
}
