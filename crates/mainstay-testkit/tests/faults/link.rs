//! A server that is lost under a running client, and comes back.

use std::time::Duration;

use mainstay::backend::Status;
use mainstay::lock::Acquire;
use mainstay::pubsub::{GapReason, Item, Subscriber};
use mainstay::ratelimit::Policy;
use mainstay::{ErrorKind, Mainstay};
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    BOUND, NOTICE, RECOVERY, SLACK, connect, durable, extent, in_time, login, on_both_flavors,
};

on_both_flavors! {
    calls_fail_in_time_while_the_server_is_dead_and_work_after
    calls_fail_in_time_while_the_server_is_frozen_and_work_after
    an_idle_subscriber_gets_a_gap_and_then_events
    a_subscriber_outlives_the_handles_that_it_came_from
    a_channel_that_the_login_may_not_hear_fails_alone
    a_held_lock_survives_a_restart_or_is_lost_in_time
    a_held_lock_is_lost_in_time_when_the_server_stays_away
}

/// One call of each area; the first error.
async fn call_all(stay: &Mainstay) -> mainstay::Result<()> {
    let cache = stay.cache::<u32>("numbers").build()?;
    let sessions = stay.sessions::<u32>().build()?;
    let channel = stay.channel::<u32>("numbers").build()?;
    let limiter = stay.limiter(Policy::window("api", 1_000_000, Duration::from_secs(60))?);
    let lock = stay.lock("brief").build()?;
    // All are called, whatever the others say.
    let outcomes = [
        in_time("cache.set", cache.set("key", &1)).await,
        in_time("cache.get", cache.get("key")).await.map(drop),
        in_time("sessions.create", sessions.create("ann", &1))
            .await
            .map(drop),
        in_time("sessions.list", sessions.list("ann"))
            .await
            .map(drop),
        in_time("channel.publish", channel.publish("number", &1))
            .await
            .map(drop),
        in_time("limiter.check", limiter.check("ann"))
            .await
            .map(drop),
        in_time("lock.try_acquire", lock.try_acquire())
            .await
            .map(drop),
        in_time("health", stay.health()).await.map(drop),
    ];
    outcomes.into_iter().collect()
}

async fn wait_down(stay: &Mainstay) {
    eventually("status down", NOTICE, async || match stay.status() {
        Status::Down => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Calls until `until`; every call must fail with an error that says so, in time.
async fn fail_until(stay: &Mainstay, until: Instant) {
    while Instant::now() < until {
        let error = call_all(stay).await.unwrap_err();
        let kinds = [ErrorKind::Unavailable, ErrorKind::Unknown];
        assert!(kinds.contains(&error.kind()), "{error:?}");
    }
}

async fn wait_working(stay: &Mainstay, since: Instant) -> Duration {
    eventually("all calls work", RECOVERY, async || {
        call_all(stay).await.map_err(|error| format!("{error:?}"))?;
        match stay.status() {
            Status::Up => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    since.elapsed()
}

async fn calls_fail_in_time_while_the_server_is_dead_and_work_after(flavor: Flavor) {
    let mut server = durable(flavor).await;
    let stay = connect(&server.url()).await;
    call_all(&stay).await.unwrap();
    for seconds in extent(&[1][..], &[1, 25]) {
        server.kill();
        let dead = Instant::now();
        fail_until(&stay, dead + Duration::from_secs(*seconds)).await;
        assert_eq!(stay.status(), Status::Down);
        server.restart().await;
        let took = wait_working(&stay, Instant::now()).await;
        println!("{flavor}: dead for {seconds} s, all works {took:?} after the return");
    }
}

async fn calls_fail_in_time_while_the_server_is_frozen_and_work_after(flavor: Flavor) {
    let server = durable(flavor).await;
    let stay = connect(&server.url()).await;
    call_all(&stay).await.unwrap();
    server.stop();
    let frozen = Instant::now();
    wait_down(&stay).await;
    println!(
        "{flavor}: a frozen server is seen after {:?}",
        frozen.elapsed()
    );
    fail_until(&stay, frozen + Duration::from_secs(3)).await;
    server.cont();
    let took = wait_working(&stay, Instant::now()).await;
    println!("{flavor}: frozen for 3 s, all works {took:?} after the return");
}

async fn item(subscriber: &mut Subscriber<u32>) -> Item<u32> {
    timeout(BOUND, subscriber.next())
        .await
        .expect("an item arrives")
}

async fn an_idle_subscriber_gets_a_gap_and_then_events(flavor: Flavor) {
    let mut server = durable(flavor).await;
    let stay = connect(&server.url()).await;
    let channel = stay.channel::<u32>("numbers").build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    for round in 0..3 {
        server.kill();
        wait_down(&stay).await;
        server.restart().await;
        let returned = Instant::now();
        let gap = item(&mut subscriber).await;
        assert!(matches!(gap, Item::Gap(GapReason::Disconnected)), "{gap:?}");
        assert!(
            returned.elapsed() < RECOVERY,
            "restored after {:?}",
            returned.elapsed()
        );
        wait_working(&stay, returned).await;
        channel.publish("number", &(10 + round)).await.unwrap();
        // wait_working publishes 1s of its own.
        let heard = loop {
            match item(&mut subscriber).await {
                Item::Event { event, .. } if event.data == 1 => {}
                other => break other,
            }
        };
        let Item::Event { event, .. } = heard else {
            panic!("no event: {heard:?}");
        };
        assert_eq!(event.data, 10 + round);
    }
}

async fn a_subscriber_outlives_the_handles_that_it_came_from(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let mut subscriber = {
        let stay = connect(&server.url()).await;
        let channel = stay.channel::<u32>("numbers").build().unwrap();
        channel.subscribe().await.unwrap()
    };
    let other = connect(&server.url()).await;
    let channel = other.channel::<u32>("numbers").build().unwrap();
    assert_eq!(channel.publish("number", &7).await.unwrap(), 1);
    let heard = item(&mut subscriber).await;
    assert!(
        matches!(&heard, Item::Event { event, .. } if event.data == 7),
        "{heard:?}"
    );
}

async fn a_channel_that_the_login_may_not_hear_fails_alone(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let rules = ["~*", "+@all", "-info", "resetchannels", "&open"];
    let login = login(&server, &rules).await;
    let stay = connect(&format!("redis://{login}{}", server.addr())).await;
    let open = stay.channel::<u32>("open").build().unwrap();
    let mut subscriber = open.subscribe().await.unwrap();
    let closed = stay.channel::<u32>("closed").build().unwrap();
    for _ in 0..3 {
        let refused = in_time("channel.subscribe", closed.subscribe()).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Refused);
    }
    assert_eq!(stay.status(), Status::Up);
    // A login that may not ask for the version works without.
    assert_eq!(stay.health().await.unwrap().version, "unknown");
    assert_eq!(open.publish("number", &7).await.unwrap(), 1);
    // No gap: the connection was not given up.
    let heard = item(&mut subscriber).await;
    assert!(
        matches!(&heard, Item::Event { event, .. } if event.data == 7),
        "{heard:?}"
    );
}

async fn a_held_lock_survives_a_restart_or_is_lost_in_time(flavor: Flavor) {
    let ttl = Duration::from_secs(3);
    let mut server = durable(flavor).await;
    let (stay, other) = (connect(&server.url()).await, connect(&server.url()).await);
    let lock = stay.lock("long").ttl(ttl).build().unwrap();
    let Acquire::Acquired(guard) = lock.try_acquire().await.unwrap() else {
        panic!("the lock is free");
    };
    server.kill();
    let killed = Instant::now();
    sleep_until(killed + Duration::from_secs(1)).await;
    server.restart().await;
    let rival = other.lock("long").ttl(ttl).build().unwrap();
    let mut asked = 0;
    // Beyond the time that the lock had at the kill.
    while killed.elapsed() < ttl * 2 {
        let attempt = in_time("lock.try_acquire", rival.try_acquire()).await;
        match attempt {
            Ok(Acquire::Acquired(_)) => {
                assert!(
                    guard.is_lost(),
                    "two holders {:?} after the kill",
                    killed.elapsed()
                );
                println!("{flavor}: the lock was lost, and the holder knew");
                return;
            }
            Ok(_) => asked += 1,
            Err(error) => assert!(killed.elapsed() < ttl, "{error:?}"),
        }
    }
    assert!(asked > 0);
    guard
        .check()
        .expect("nobody else got it, and the server is back");
    println!("{flavor}: the lock was kept over the restart ({asked} rivals refused)");
}

async fn a_held_lock_is_lost_in_time_when_the_server_stays_away(flavor: Flavor) {
    let ttl = Duration::from_secs(1);
    let mut server = durable(flavor).await;
    let stay = connect(&server.url()).await;
    let lock = stay.lock("long").ttl(ttl).build().unwrap();
    let Acquire::Acquired(guard) = lock.try_acquire().await.unwrap() else {
        panic!("the lock is free");
    };
    server.kill();
    let killed = Instant::now();
    timeout(ttl + SLACK, guard.lost())
        .await
        .expect("the loss is told");
    guard.check().unwrap_err();
    println!(
        "{flavor}: the loss was told {:?} after the kill, ttl {ttl:?}",
        killed.elapsed()
    );
}
