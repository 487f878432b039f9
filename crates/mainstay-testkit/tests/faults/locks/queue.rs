//! Many who wait for one lock: in their order, whoever of them dies.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay::lock::{Acquire, Lock, LockGuard, Release};
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use tokio::time::{Instant, sleep, timeout};

use super::super::worker::Worker;
use super::super::{BOUND, connect, on_both_flavors};

on_both_flavors! {
    l8_waiters_come_in_their_order_though_some_are_killed
    l8_places_that_the_server_has_lost_block_nobody
    l10_five_hundred_waiters_need_few_commands_and_survive_the_loss_of_their_calls
}

async fn waiting(server: &Server) -> i64 {
    server
        .command(&["ZCARD", "{lock:report}:q"])
        .await
        .integer()
}

pub(super) async fn hold(lock: &Lock) -> LockGuard {
    match lock.acquire(BOUND).await.unwrap() {
        Acquire::Acquired(guard) => guard,
        held @ Acquire::Held { .. } => panic!("{held:?}"),
    }
}

async fn l8_waiters_come_in_their_order_though_some_are_killed(flavor: Flavor) {
    const WAITERS: usize = 20;
    let server = Server::start(flavor).await;
    let url = server.url();
    let lock = connect(&url).await.lock("report").build().unwrap();
    let held = hold(&lock).await;
    let mut waiters = Vec::new();
    for number in 0..WAITERS {
        waiters.push(Some(Worker::lock(&url, "report", 1)));
        let wanted = i64::try_from(number + 1).unwrap();
        eventually("one more who waits", BOUND, async || {
            match waiting(&server).await {
                waiting if waiting == wanted => Ok(()),
                waiting => Err(format!("{waiting} wait")),
            }
        })
        .await;
    }
    // The first among them, two in a row, and the last.
    for dead in [0, 4, 5, 11, 19] {
        waiters[dead].take().expect("it lives").kill().await;
    }
    assert_eq!(held.release().await.unwrap(), Release::Released);
    let released = Instant::now();
    let mut last = Duration::ZERO;
    let mut longest = Duration::ZERO;
    let mut fence = 0;
    for (number, waiter) in waiters.iter_mut().enumerate() {
        let Some(waiter) = waiter else { continue };
        let acquired = waiter.answer().await;
        let came = released.elapsed();
        let its = acquired["fence"].as_u64().unwrap();
        assert!(its > fence, "{number} came too early");
        fence = its;
        longest = longest.max(came.saturating_sub(last));
        last = came;
    }
    println!(
        "{flavor}: L8 15 of 20 waiters came in their order, the longest pause was {longest:?}"
    );
    // A place lasts a second, and processes take their time to be scheduled.
    assert!(longest < Duration::from_millis(1_300), "{longest:?}");
    eventually("nobody waits", BOUND, async || {
        match waiting(&server).await {
            0 => Ok(()),
            waiting => Err(format!("{waiting} wait")),
        }
    })
    .await;
}

/// Evicted, one of the two sets alone; or left by a clock that has gone back since.
async fn l8_places_that_the_server_has_lost_block_nobody(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let lock = connect(&server.url()).await.lock("report").build().unwrap();
    let ghost: [&[&str]; 3] = [
        &["ZADD", "{lock:report}:q", "1", "ghost"],
        &["ZADD", "{lock:report}:p", "9999999999999", "ghost"],
        &["DEL", "{lock:report}:p"],
    ];
    for commands in [&ghost[..1], &ghost[..2], &ghost[2..]] {
        let held = hold(&lock).await;
        let waiter = tokio::spawn({
            let lock = lock.clone();
            async move { hold(&lock).await.release().await.unwrap() }
        });
        eventually("one who waits", BOUND, async || {
            match waiting(&server).await {
                0 => Err("none".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
        for command in commands {
            server.command(command).await;
        }
        let released = Instant::now();
        held.release().await.unwrap();
        assert_eq!(waiter.await.unwrap(), Release::Released);
        let took = released.elapsed();
        println!("{flavor}: L8 {commands:?}: the waiter came after {took:?}");
        assert!(
            took < Duration::from_millis(1_300),
            "{commands:?}: {took:?}"
        );
    }
}

/// How often the server has run commands of callers, but not those within scripts.
async fn calls(server: &Server) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).await;
    let calls = stats.text().lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = rest.strip_prefix("calls=")?.split(',').next()?;
        matches!(name, "evalsha" | "eval" | "subscribe" | "unsubscribe")
            .then(|| calls.parse::<u64>().unwrap())
    });
    calls.sum()
}

async fn l10_five_hundred_waiters_need_few_commands_and_survive_the_loss_of_their_calls(
    flavor: Flavor,
) {
    const WAITERS: u32 = 500;
    let server = Server::start(flavor).await;
    let stays = [connect(&server.url()).await, connect(&server.url()).await];
    let locks = stays.map(|stay| stay.lock("report").build().unwrap());
    for kills in [false, true] {
        let held = hold(&locks[0]).await;
        let waiters: Vec<_> = (0..WAITERS)
            .map(|number| {
                let lock = locks[usize::from(number % 2 == 1)].clone();
                tokio::spawn(async move { hold(&lock).await.release().await.unwrap() })
            })
            .collect();
        eventually("all wait", BOUND, async || match waiting(&server).await {
            500 => Ok(()),
            waiting => Err(format!("{waiting} wait")),
        })
        .await;
        let (before, began) = (calls(&server).await, Instant::now());
        held.release().await.unwrap();
        let killing = async {
            loop {
                if kills {
                    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            ended = timeout(BOUND, join_all(waiters)) => {
                for waiter in ended.expect("nobody hangs") {
                    assert_eq!(waiter.unwrap(), Release::Released);
                }
            }
            () = killing => {}
        }
        let took = began.elapsed();
        let calls = u32::try_from(calls(&server).await - before).unwrap();
        println!(
            "{flavor}: L10 {WAITERS} waiters, calls {}: {:.0} hand-offs a second, {:.2} commands each after the release",
            if kills { "lost all the time" } else { "heard" },
            f64::from(WAITERS) / took.as_secs_f64(),
            f64::from(calls) / f64::from(WAITERS),
        );
        if !kills {
            // Two when called, and what those cost who keep their places meanwhile.
            assert!(calls < 4 * WAITERS, "{calls} commands");
        }
    }
}
