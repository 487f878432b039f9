//! Memory, the scripts and a brute-force oracle decide alike, whatever comes in whatever order.

mod memory;
mod scripts;
mod steps;

use mainstay_testkit::fixture::{Flavor, Server};
use mainstay_testkit::oracle::limit::{Bucket, Charges, LimitOracle, LimitRule, Limits};

use self::memory::Memory;
use self::scripts::Scripts;
use self::steps::{Kind, Step, Steps};
use super::{extent, on_both_flavors};

/// Steps that the server is sent together.
const BATCH: usize = 500;

on_both_flavors! {
    r2_a_million_random_steps_of_window_are_answered_alike
    r2_a_million_random_steps_of_exact_are_answered_alike
    r2_a_million_random_steps_of_gcra_are_answered_alike
    r2_a_million_random_steps_of_fixed_are_answered_alike
    r2_a_million_random_steps_of_concurrent_are_answered_alike
}

async fn r2_a_million_random_steps_of_window_are_answered_alike(flavor: Flavor) {
    answered_alike(flavor, Kind::Window).await;
}

async fn r2_a_million_random_steps_of_exact_are_answered_alike(flavor: Flavor) {
    answered_alike(flavor, Kind::Exact).await;
}

async fn r2_a_million_random_steps_of_gcra_are_answered_alike(flavor: Flavor) {
    answered_alike(flavor, Kind::Gcra).await;
}

async fn r2_a_million_random_steps_of_fixed_are_answered_alike(flavor: Flavor) {
    answered_alike(flavor, Kind::Fixed).await;
}

async fn r2_a_million_random_steps_of_concurrent_are_answered_alike(flavor: Flavor) {
    answered_alike(flavor, Kind::Concurrent).await;
}

fn oracle(rule: LimitRule) -> Box<dyn LimitOracle> {
    match rule {
        LimitRule::Gcra { .. } => Box::new(Bucket::new(rule)),
        _ => Box::new(Charges::new(rule)),
    }
}

/// What was said, as both others must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Said(mainstay_testkit::oracle::limit::Said),
    Refunded(bool),
    Nothing,
}

async fn answered_alike(flavor: Flavor, kind: Kind) {
    let steps = extent(8_000, 1_000_000);
    let server = Server::start(flavor).await;
    let mut scripts = Scripts::load(&server, kind).await;
    let mut source = Steps::new(kind);
    let first = source.rule();
    let mut oracle = oracle(first);
    let mut memory = Memory::new(first);
    let (mut admitted, mut denied, mut refunded, mut tight) = (0_u64, 0_u64, 0_u64, 0_u64);
    for batch in 0..steps / BATCH {
        let mut expected = Vec::new();
        for _ in 0..BATCH {
            let step = source.next_step();
            let reply = ask(oracle.as_mut(), &step);
            assert_eq!(
                ask(&mut memory, &step),
                reply,
                "{flavor}: memory at {step:?}"
            );
            match reply {
                Reply::Said(said) if said.admitted => {
                    admitted += 1;
                    source.was_admitted(&step);
                }
                Reply::Said(said) => {
                    denied += 1;
                    tight += u64::from(check_tight(oracle.as_mut(), &step, said.retry));
                }
                Reply::Refunded(true) => refunded += 1,
                Reply::Refunded(false) | Reply::Nothing => {}
            }
            expected.push((step, reply));
        }
        let answers = scripts
            .ask(expected.iter().map(|(step, _)| step), first)
            .await;
        for ((step, reply), answer) in expected.iter().zip(answers) {
            assert_eq!(
                answer, *reply,
                "{flavor}: the script at {step:?}, batch {batch}"
            );
        }
    }
    println!(
        "{flavor}: R2 {kind:?}: {steps} steps: {admitted} admitted, {denied} denied ({tight} waits tight), {refunded} refunded; memory, script and oracle alike"
    );
    for seen in [admitted, denied, refunded, tight] {
        assert!(seen > 50, "too few of something");
    }
}

fn ask(limits: &mut dyn Limits, step: &Step) -> Reply {
    match *step {
        Step::Change { rule } => {
            limits.change(rule);
            Reply::Nothing
        }
        Step::Call {
            now,
            cost,
            charges,
            id,
        } => Reply::Said(limits.call(now, cost, charges, id)),
        Step::Refund { now, at, cost, id } => Reply::Refunded(limits.refund(now, at, cost, id)),
        Step::Reset => {
            limits.reset();
            Reply::Nothing
        }
    }
}

/// The same call is denied a microsecond before the wait is over, and admitted then.
fn check_tight(oracle: &mut dyn LimitOracle, step: &Step, retry: Option<u64>) -> bool {
    let (Step::Call { now, cost, id, .. }, Some(retry)) = (*step, retry) else {
        return false;
    };
    let before = oracle.would_admit(now + retry - 1, cost, id);
    let then = oracle.would_admit(now + retry, cost, id);
    assert!(!before && then, "{step:?}: a wait of {retry} us");
    true
}
