//! The window against a list of all charges.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;

/// Far enough from 1970 for the clock to step back.
const START: u64 = 1_577_836_800_000_000;

const STEPS: usize = 400;

fn window(limit: u64, period_ms: u64) -> Window {
    Window::new(limit, Duration::from_millis(period_ms)).unwrap()
}

fn counts(window: Window, at: u64, now: u64) -> bool {
    let width = window.bucket_micros();
    now < (at / width + Window::BUCKETS + 1) * width
}

/// Every charge as it was made; a charge counts until its bucket has left the period.
#[derive(Default)]
struct Oracle(Vec<(u64, u64)>);

impl Oracle {
    fn used(&self, window: Window, now: u64) -> u64 {
        let charges = self.0.iter().filter(|(at, _)| counts(window, *at, now));
        charges.map(|(_, cost)| cost).sum()
    }

    /// What has left the period by then is forgotten, though the clock may step back to it.
    fn charge(&mut self, window: Window, now: u64, cost: u64) {
        if cost > 0 {
            self.0.retain(|(at, _)| counts(window, *at, now));
            self.0.push((now, cost));
        }
    }

    /// Once the newest charge's bucket is ahead of an earlier now, all charges count as of then.
    fn step_back_to(&mut self, window: Window, now: u64) {
        let width = window.bucket_micros();
        if self.0.iter().any(|(at, _)| at / width > now / width) {
            self.0.iter_mut().for_each(|(at, _)| *at = now);
        }
    }
}

/// As the store does it: a refusal leaves no trace unless the clock stepped back.
fn take(window: Window, now: u64, cost: u64, kept: &mut Option<State>) -> (bool, Counted) {
    let seen = Counted::new(window, now, kept.as_ref());
    let mut view = seen.clone();
    let admitted = cost <= view.free();
    if admitted && cost > 0 {
        view.charge(cost);
    } else if !view.has_moved() {
        return (admitted, seen);
    }
    *kept = state(view);
    (admitted, seen)
}

/// What is kept of a view, if anything counts.
fn state(view: Counted) -> Option<State> {
    (view.reset_after_micros() > 0).then(|| Box::new(view).into_state())
}

/// Until a cost fits that does not fit now, if it ever does.
fn wait(view: &Counted, cost: u64) -> Option<u64> {
    (cost > view.free() && cost <= view.limit).then(|| view.wait_micros(cost))
}

fn admits_at(window: Window, now: u64, cost: u64, kept: Option<&State>) -> bool {
    cost <= Counted::new(window, now, kept).free()
}

fn check_retry(window: Window, now: u64, cost: u64, kept: Option<&State>, view: &Counted) {
    match wait(view, cost) {
        Some(wait) => {
            assert!(wait > 0);
            assert!(!admits_at(window, now + wait - 1, cost, kept));
            assert!(!admits_at(
                window,
                now + wait.saturating_sub(1_000),
                cost,
                kept
            ));
            assert!(admits_at(window, now + wait, cost, kept));
            assert!(wait <= (Window::BUCKETS + 1) * window.bucket_micros());
        }
        None => assert!(cost <= view.free() || cost > window.limit()),
    }
}

fn check_reset(window: Window, now: u64, kept: Option<&State>) {
    let wait = Counted::new(window, now, kept).reset_after_micros();
    assert_eq!(Counted::new(window, now + wait, kept).used, 0);
    if wait > 0 {
        assert!(Counted::new(window, now + wait - 1, kept).used > 0);
    }
}

/// Small steps fill a window, large ones leave it.
fn pause(period_ms: u64) -> impl Strategy<Value = u64> {
    let period = period_ms * 1_000;
    prop_oneof![
        6 => 0..period / 20 + 2,
        2 => 0..period / 2 + 2,
        1 => period - period / 50..period + period / 20,
        1 => 0..period * 3,
    ]
}

fn run() -> impl Strategy<Value = (Window, u64, Vec<(u64, u64, bool)>)> {
    (1_u64..30, 1_u64..5_000).prop_flat_map(|(limit, period_ms)| {
        let step = (pause(period_ms), 0..limit + 2, prop::bool::weighted(0.1));
        let steps = prop::collection::vec(step, STEPS);
        (
            Just(window(limit, period_ms)),
            Just(period_ms * 1_000),
            steps,
        )
    })
}

// 300 runs of 400 steps each: 120,000 steps a property.
proptest! {
    #![proptest_config(Config { max_shrink_iters: 2_000, ..Config::with_cases(300) })]

    #[test]
    fn it_decides_as_a_list_of_all_charges_and_never_exceeds_the_limit(
        (window, period, steps) in run(),
    ) {
        let (mut kept, mut oracle, mut now) = (None, Oracle::default(), START);
        for (pause, cost, _) in steps {
            now += pause;
            let used = oracle.used(window, now);
            let fits = used + cost <= window.limit();
            let (admitted, view) = take(window, now, cost, &mut kept);
            prop_assert_eq!(view.used, used);
            prop_assert_eq!(admitted, fits);
            check_reset(window, now, kept.as_ref());
            if admitted {
                oracle.charge(window, now, cost);
                let since = now - period;
                let within = oracle.0.iter().filter(|(at, _)| *at > since);
                let within: u64 = within.map(|(_, cost)| cost).sum();
                prop_assert!(within <= window.limit());
            } else {
                check_retry(window, now, cost, kept.as_ref(), &view);
            }
        }
    }

    #[test]
    fn a_clock_that_steps_back_locks_out_for_a_period_at_most_and_admits_no_more_than_the_limit(
        (window, period, steps) in run(),
    ) {
        let (mut kept, mut oracle, mut now) = (None, Oracle::default(), START);
        // The time that really passed, which no step of the clock changes.
        let (mut real, mut charges) = (START, Vec::new());
        for (pause, cost, back) in steps {
            if back {
                now -= pause;
                oracle.step_back_to(window, now);
            } else {
                now += pause;
                real += pause;
            }
            let used = oracle.used(window, now);
            let (admitted, view) = take(window, now, cost, &mut kept);
            prop_assert_eq!(view.used, used);
            if admitted {
                oracle.charge(window, now, cost);
                charges.push((real, cost));
                let within = charges.iter().filter(|(at, _)| *at + period > real);
                let within: u64 = within.map(|(_, cost)| cost).sum();
                prop_assert!(within <= window.limit());
            } else {
                check_retry(window, now, cost, kept.as_ref(), &view);
            }
            let period_and_bucket = (Window::BUCKETS + 1) * window.bucket_micros();
            let limit = window.limit();
            prop_assert!(admits_at(window, now + period_and_bucket, limit, kept.as_ref()));
        }
    }
}

#[test]
fn under_another_width_a_bucket_counts_as_of_its_last_instant_or_now() {
    let (minute, second) = (window(10, 60_000), window(10, 1_000));
    let mut kept = None;
    assert!(take(minute, START, 4, &mut kept).0);
    let later = START + 30_000_000;
    assert!(take(minute, later, 3, &mut kept).0);

    let mut view = Counted::new(second, later, kept.as_ref());
    assert_eq!(view.free(), 7);
    view.charge(1);
    let kept = state(view);
    let width = second.bucket_micros();
    let gone = (later / width + Window::BUCKETS + 1) * width;
    assert_eq!(Counted::new(second, gone - 1, kept.as_ref()).free(), 6);
    assert_eq!(Counted::new(second, gone, kept.as_ref()).free(), 10);
}

#[test]
fn what_is_denied_under_another_width_ages_however_often_it_is_asked_for() {
    let (hour, second) = (window(10, 3_600_000), window(10, 1_000));
    let mut kept = None;
    assert!(take(hour, START, 10, &mut kept).0);
    let before = kept.clone();
    // The hour's bucket is a minute wide: nobody knows when in it the units were taken.
    for now in (START + 1..START + 61_000_000).step_by(250_000) {
        let (admitted, view) = take(second, now, 1, &mut kept);
        assert!(!admitted);
        let wait = wait(&view, 1).unwrap();
        assert!(admits_at(second, now + wait, 1, kept.as_ref()) || now < START + 60_000_000);
    }
    assert_eq!(kept, before);
    assert!(take(second, START + 61_100_000, 1, &mut kept).0);
}

#[test]
fn what_had_left_the_old_period_does_not_count_under_another_width() {
    let (second, minute) = (window(10, 1_000), window(10, 60_000));
    let mut kept = None;
    assert!(take(second, START, 4, &mut kept).0);
    assert!(take(second, START + 900_000, 3, &mut kept).0);
    let view = Counted::new(minute, START + 1_500_000, kept.as_ref());
    assert_eq!(view.free(), 7);
}

#[test]
fn a_lower_limit_leaves_nothing_until_the_excess_is_gone() {
    let mut kept = None;
    assert!(take(window(10, 1_000), START, 10, &mut kept).0);
    let view = Counted::new(window(3, 1_000), START, kept.as_ref());
    assert_eq!(view.free(), 0);
    assert_eq!(wait(&view, 3), Some(view.reset_after_micros()));
    assert_eq!(wait(&view, 4), None);
}

#[test]
fn a_look_charges_nothing() {
    let mut kept = None;
    assert!(take(window(1, 1_000), START, 0, &mut kept).0);
    assert_eq!(kept, None);
}
