//! Wall clocks that are an hour off, or are set while a lock is held.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::Mainstay;
use mainstay::lock::{Acquire, Lock, Release};
use mainstay_testkit::fixture::{Flavor, Server, WallClock, eventually};
use mainstay_testkit::oracle::check_locks;
use tokio::time::{Instant, interval, sleep, timeout};

use super::super::worker::{self, Worker};
use super::super::{BOUND, SLACK, connect, extent, on_both_flavors};
use super::exclusion::histories;
use super::queue::hold;

on_both_flavors! {
    l6_a_server_clock_set_forward_ends_leases_and_holders_know_within_a_third_of_their_ttl
    l6_a_server_clock_set_back_takes_no_lock_away_and_fences_rise
    l6_a_holder_whose_clock_is_set_keeps_its_lock
    l6_processes_an_hour_apart_exclude_each_other_while_the_server_clock_is_set_back
}

const HOUR: i64 = 3_600;
const TTL: Duration = Duration::from_millis(1_500);

async fn server_by(clock: &WallClock, flavor: Flavor) -> Server {
    let builder = Server::builder(flavor).wall_clock(clock);
    builder.start().await
}

fn lock_of(stay: &Mainstay) -> Lock {
    stay.lock("report").ttl(TTL).build().unwrap()
}

/// Asks for as long as a lease would have ended twice; how often.
async fn refused_beyond_the_ttl(lock: &Lock) -> u32 {
    let (began, mut refused) = (Instant::now(), 0);
    while began.elapsed() < 2 * TTL {
        let attempt = lock.try_acquire().await.unwrap();
        assert!(matches!(attempt, Acquire::Held { .. }), "two holders");
        refused += 1;
        sleep(Duration::from_millis(20)).await;
    }
    refused
}

/// The times to live of keys are moments of the wall clock: a step forward ends them all. Until its
/// next renewal a holder does not know, which is when the fence keeps it out.
async fn l6_a_server_clock_set_forward_ends_leases_and_holders_know_within_a_third_of_their_ttl(
    flavor: Flavor,
) {
    let mut clock = WallClock::start();
    let server = server_by(&clock, flavor).await;
    let (ours, theirs) = (connect(&server.url()).await, connect(&server.url()).await);
    let (ours, theirs) = (lock_of(&ours), lock_of(&theirs));
    let (rounds, mut slowest, mut fence) = (extent(3, 20), Duration::ZERO, 0);
    for round in 0..rounds {
        let guard = hold(&ours).await;
        assert!(guard.fence().get() > fence, "round {round}");
        // Some renewals into it.
        sleep(TTL / 4 * (round % 4)).await;
        guard.check().unwrap();
        clock.step(HOUR);
        let stepped = Instant::now();
        let other = hold(&theirs).await;
        assert!(other.fence() > guard.fence(), "round {round}");
        fence = other.fence().get();
        let lost = timeout(TTL / 3 + SLACK, guard.lost()).await;
        lost.expect("the loss is told");
        slowest = slowest.max(stepped.elapsed());
        guard.check().unwrap_err();
        assert_eq!(guard.release().await.unwrap(), Release::NotHeld);
        refused_beyond_the_ttl(&ours).await;
        other.check().unwrap();
        assert_eq!(other.release().await.unwrap(), Release::Released);
    }
    println!(
        "{flavor}: L6 server clock {rounds} times an hour forward: each loss known {slowest:?} after at most, ttl {TTL:?}, fences rose"
    );
}

async fn l6_a_server_clock_set_back_takes_no_lock_away_and_fences_rise(flavor: Flavor) {
    let mut clock = WallClock::start();
    let server = server_by(&clock, flavor).await;
    let (ours, theirs) = (connect(&server.url()).await, connect(&server.url()).await);
    let (ours, theirs) = (lock_of(&ours), lock_of(&theirs));
    let rounds = extent(2, 20);
    let (mut fence, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    for round in 0..rounds {
        let guard = hold(&ours).await;
        assert!(guard.fence().get() > fence, "round {round}");
        clock.step(-HOUR);
        refused += refused_beyond_the_ttl(&theirs).await;
        guard.check().unwrap();
        let left = server.command(&["PTTL", "lock:report"]).await.integer();
        assert!(u128::try_from(left).unwrap() <= TTL.as_millis(), "{left}");
        let seen = theirs.inspect().await.unwrap().holding;
        assert_eq!(seen.expect("it is held").fence, Some(guard.fence()));

        let waiter = tokio::spawn({
            let lock = theirs.clone();
            async move { hold(&lock).await }
        });
        eventually("one who waits", BOUND, async || {
            match ours.inspect().await.unwrap().waiting {
                0 => Err("none".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
        clock.step(-HOUR);
        let released = Instant::now();
        let first = guard.fence();
        assert_eq!(guard.release().await.unwrap(), Release::Released);
        let other = waiter.await.unwrap();
        slowest = slowest.max(released.elapsed());
        assert!(other.fence() > first, "round {round}");
        fence = other.fence().get();
        assert_eq!(other.release().await.unwrap(), Release::Released);
    }
    println!(
        "{flavor}: L6 server clock {} times an hour back: no loss, {refused} attempts of others refused, who waited came {slowest:?} after the release at most, fences rose",
        2 * rounds
    );
    // A place lasts a second, and processes take their time to be scheduled.
    assert!(slowest < Duration::from_millis(1_300), "{slowest:?}");
}

async fn l6_a_holder_whose_clock_is_set_keeps_its_lock(flavor: Flavor) {
    let mut clock = WallClock::start();
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let lock = lock_of(&stay);
    let mut holder = Worker::holder_by(&clock, &server.url(), "report", TTL);
    let (mut fence, mut refused) = (0, 0);
    let steps = [HOUR, -HOUR, -HOUR, HOUR];
    let (mut told, mut off) = (Vec::new(), 0);
    for _ in 0..extent(1, 5) {
        for step in steps {
            let taken = holder.ask("take").await["fence"].as_u64().unwrap();
            assert!(taken > fence);
            fence = taken;
            clock.step(step);
            off += step;
            refused += refused_beyond_the_ttl(&lock).await;
            let written = holder.ask("write").await;
            assert_eq!(written["lost"], false, "{written}");
            assert_eq!(written["written"], true, "{written}");
            told.push(written["unix"].as_i64().unwrap() - off);
        }
    }
    // Its clock was set each time: without the steps, what it told is that of the machine.
    assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
    let last = told.last().unwrap() - told.first().unwrap();
    assert!(last < HOUR / 2, "{told:?}");
    println!(
        "{flavor}: L6 holder's clock set by an hour {} times, forward and back: no loss, {refused} attempts of others refused",
        told.len()
    );
}

async fn l6_processes_an_hour_apart_exclude_each_other_while_the_server_clock_is_set_back(
    flavor: Flavor,
) {
    let mut server_clock = WallClock::start();
    let server = server_by(&server_clock, flavor).await;
    let (ahead, behind) = (&mut WallClock::start(), &mut WallClock::start());
    ahead.step(HOUR);
    behind.step(-HOUR);
    let clocks = [None, Some(&*ahead), Some(&*behind), Some(&*ahead)];
    let (url, sections) = (server.url(), extent(200, 3_000));
    let each = sections.to_string();
    let arguments = ["lock", &url, "report", &each];
    let bound = extent(BOUND, 10 * BOUND);
    let workers = clocks.map(|clock| worker::run_by(clock, &arguments, bound));
    let mut steps = 0;
    let stepping = async {
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            server_clock.step(-HOUR);
            steps += 1;
        }
    };
    let lines = tokio::select! {
        lines = join_all(workers) => lines,
        () = stepping => unreachable!("it goes on"),
    };
    let unix = |lines: &[serde_json::Value]| lines[0]["unix"].as_i64().unwrap();
    let apart = unix(&lines[1]) - unix(&lines[2]);
    assert!((apart - 2 * HOUR).abs() < HOUR / 2, "{apart}");
    let histories = histories(&lines.concat());
    let history = &histories["report"];
    assert_eq!(history.len(), clocks.len() * sections);
    assert_eq!(check_locks(history), Ok(()));
    println!(
        "{flavor}: L6 {} sections of processes {apart} s apart, server clock {steps} times an hour back: no overlap, fences rose",
        history.len()
    );
    assert!(steps > 3, "{steps}");
}
