//! Replies that are lost after their command was executed.

use std::time::Duration;

use mainstay::lock::{Acquire, Release};
use mainstay::pubsub::{Item, Subscriber};
use mainstay::ratelimit::{Limiter, Policy};
use mainstay::{ErrorKind, Mainstay, Result};
use mainstay_testkit::fixture::{FaultProxy, Flavor, Server, eventually};
use tokio::time::{Instant, timeout};

use super::{BOUND, connect, on_both_flavors};

const ROUNDS: u32 = 12;
const MARK: u32 = u32::MAX;

on_both_flavors! {
    an_acquisition_whose_reply_is_lost_ends_with_one_holder
    a_publish_whose_reply_is_lost_is_not_sent_again
    a_limited_call_whose_reply_is_lost_is_charged_once
}

struct World {
    proxy: FaultProxy,
    /// Through the proxy.
    stay: Mainstay,
    /// Past the proxy.
    witness: Mainstay,
    _server: Server,
}

impl World {
    async fn start(flavor: Flavor) -> Self {
        let server = Server::start(flavor).await;
        let proxy = FaultProxy::start(server.addr()).await;
        Self {
            stay: connect(&proxy.url()).await,
            witness: connect(&server.url()).await,
            proxy,
            _server: server,
        }
    }

    /// Waits until calls through the proxy work.
    async fn ready(&self) {
        eventually("the connection is back", BOUND, async || {
            self.stay
                .health()
                .await
                .map_err(|error| format!("{error:?}"))
        })
        .await;
    }
}

/// What the executions of one call whose reply may be lost must be, by its outcome.
fn check_executions<T>(outcome: &Result<T>, executions: u32) {
    let right = match outcome {
        Ok(_) => executions == 1,
        Err(error) => match error.kind() {
            ErrorKind::Unknown => executions <= 1,
            ErrorKind::Unavailable => executions == 0,
            other => panic!("a lost reply is {other:?}"),
        },
    };
    let error = outcome.as_ref().err();
    assert!(right, "executed {executions} times, answered {error:?}");
}

/// At least half of the rounds must have hit the call's own reply, and not a heartbeat's.
fn check_hits(flavor: Flavor, what: &str, hits: u32) {
    println!("{flavor}: {what}: {hits} of {ROUNDS} were executed once and told to be unknown");
    assert!(hits >= ROUNDS / 2, "only {hits} rounds tested anything");
}

async fn an_acquisition_whose_reply_is_lost_ends_with_one_holder(flavor: Flavor) {
    let world = World::start(flavor).await;
    let ttl = Duration::from_secs(60);
    for lost in 1..=ROUNDS {
        world.ready().await;
        let name = format!("lock-{lost}");
        let ours = world.stay.lock(&name).ttl(ttl).build().unwrap();
        let theirs = world.witness.lock(&name).ttl(ttl).build().unwrap();
        let before = Instant::now();
        // The first replies of an acquisition, one at a time.
        world.proxy.drop_reply(1 + lost % 4);
        let acquired = ours.acquire(Duration::from_secs(10)).await;
        let Ok(Acquire::Acquired(guard)) = acquired else {
            panic!("reply {lost}: {acquired:?}");
        };
        let took = before.elapsed();
        assert!(took < Duration::from_secs(5), "stalled for {took:?}");
        let rival = theirs.try_acquire().await.unwrap();
        assert!(matches!(rival, Acquire::Held { .. }), "two holders");
        guard.check().unwrap();
        assert_eq!(guard.release().await.unwrap(), Release::Released);
        let rival = theirs.try_acquire().await.unwrap();
        assert!(
            matches!(rival, Acquire::Acquired(_)),
            "not freed: {rival:?}"
        );
    }
    assert!(world.proxy.dropped_replies() >= ROUNDS / 2);
}

/// How many events arrived before the mark.
async fn events_before_the_mark(subscriber: &mut Subscriber<u32>) -> u32 {
    let mut events = 0;
    loop {
        match timeout(BOUND, subscriber.next())
            .await
            .expect("the mark arrives")
        {
            Item::Event { event, .. } if event.data == MARK => return events,
            Item::Event { .. } => events += 1,
            other => panic!("no event: {other:?}"),
        }
    }
}

async fn a_publish_whose_reply_is_lost_is_not_sent_again(flavor: Flavor) {
    let world = World::start(flavor).await;
    let ours = world.stay.channel::<u32>("numbers").build().unwrap();
    let theirs = world.witness.channel::<u32>("numbers").build().unwrap();
    let mut subscriber = theirs.subscribe().await.unwrap();
    let mut hits = 0;
    for round in 0..ROUNDS {
        world.ready().await;
        world.proxy.drop_reply(1);
        let outcome = ours.publish("number", &round).await;
        theirs.publish("mark", &MARK).await.unwrap();
        let executions = events_before_the_mark(&mut subscriber).await;
        check_executions(&outcome, executions);
        hits += u32::from(outcome.is_err() && executions == 1);
    }
    check_hits(flavor, "publish", hits);
}

async fn remaining(limiter: &Limiter) -> u64 {
    limiter.peek("somebody").await.unwrap().remaining()
}

async fn a_limited_call_whose_reply_is_lost_is_charged_once(flavor: Flavor) {
    let world = World::start(flavor).await;
    let policy = Policy::window("api", 1_000, Duration::from_secs(3600)).unwrap();
    let ours = world.stay.limiter(policy.clone());
    let theirs = world.witness.limiter(policy);
    let mut hits = 0;
    for _ in 0..ROUNDS {
        world.ready().await;
        let before = remaining(&theirs).await;
        world.proxy.drop_reply(1);
        let outcome = ours.check("somebody").await;
        let charged = before - remaining(&theirs).await;
        let executions = u32::try_from(charged).unwrap();
        check_executions(&outcome, executions);
        hits += u32::from(outcome.is_err() && executions == 1);
    }
    check_hits(flavor, "limit", hits);
}
