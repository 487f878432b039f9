//! Replies that are lost after the server has taken, renewed or released a lock.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay::lock::{Acquire, LeaseAttempt, Lock, Release};
use mainstay_testkit::fixture::{Connection, FaultProxy, Flavor, Reply, Server, eventually};
use tokio::time::{Instant, sleep};

use super::super::{BOUND, connect, extent, on_both_flavors};
use super::queue::hold;

on_both_flavors! {
    l4_a_lease_whose_nth_reply_is_lost_has_one_holder_one_fence_and_no_stall
    l4_a_guard_stays_held_though_replies_to_its_renewals_are_lost
}

/// How long one name may take through all its calls, of which at least one is lost.
const NO_STALL: Duration = Duration::from_secs(5);

/// What the server says that it runs (`MONITOR`).
struct Monitor(Connection);

/// What ran on one lock.
#[derive(Debug, Default)]
struct Ran {
    /// Scripts on it, however they came out.
    scripts: u32,
    /// How often one has given it out, to a holder who asks again too.
    grants: u32,
    /// With which fences.
    fences: BTreeSet<u64>,
}

impl Monitor {
    async fn start(server: &Server) -> Self {
        let mut connection = server.connect().await.unwrap();
        let begun = connection.command(&["MONITOR"]).await.unwrap();
        assert_eq!(begun, Reply::Status("OK".to_owned()));
        Self(connection)
    }

    /// What has run on the lock `name` since the last call.
    async fn ran(&mut self, server: &Server, name: &str) -> Ran {
        server.command(&["ECHO", "the mark"]).await;
        // Each of the scripts looks once.
        let get = format!("lua] \"GET\" \"lock:{name}\"");
        let grant = format!("lua] \"HSET\" \"{{lock:{name}}}:f\" \"fence\" \"");
        let again = format!("lua] \"PEXPIRE\" \"lock:{name}\"");
        let mut ran = Ran::default();
        loop {
            let Reply::Status(line) = self.0.read().await.unwrap() else {
                panic!("a line of text");
            };
            if line.contains("\"ECHO\" \"the mark\"") {
                return ran;
            }
            if let Some((_, rest)) = line.split_once(&grant) {
                let (fence, _) = rest.split_once('"').unwrap();
                ran.fences.insert(fence.parse().unwrap());
                ran.grants += 1;
            }
            ran.grants += u32::from(line.contains(&again));
            if line.contains(&get) {
                ran.scripts += 1;
            }
        }
    }
}

async fn is_held(witness: &Lock) -> bool {
    matches!(witness.try_acquire().await.unwrap(), Acquire::Held { .. })
}

/// The call from whose start on replies are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// Of a caller who has to wait first.
    Wait,
    /// Of a caller who finds the lock free.
    Take,
    Renew,
    Release,
}

const LOST: [(Since, u32); 10] = [
    (Since::Wait, 1),
    (Since::Wait, 2),
    (Since::Wait, 3),
    (Since::Wait, 4),
    (Since::Wait, 5),
    (Since::Wait, 6),
    (Since::Take, 1),
    (Since::Renew, 1),
    (Since::Renew, 2),
    (Since::Release, 1),
];

/// The ttl is far longer than all of it may take.
async fn l4_a_lease_whose_nth_reply_is_lost_has_one_holder_one_fence_and_no_stall(flavor: Flavor) {
    const TTL: Duration = Duration::from_secs(30);
    let server = Server::start(flavor).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let (stay, witness) = (connect(&proxy.url()).await, connect(&server.url()).await);
    let mut monitor = Monitor::start(&server).await;
    let (mut twice, mut slowest) = ([0; 3], Duration::ZERO);
    for (round, lost) in (0..extent(1, 20)).flat_map(|round| LOST.map(|lost| (round, lost))) {
        eventually("the connection is back", BOUND, async || {
            let health = stay.health().await;
            health.map(drop).map_err(|error| format!("{error:?}"))
        })
        .await;
        let lose = |since| {
            if let (at, nth) = lost
                && at == since
            {
                proxy.drop_reply(nth);
            }
        };
        let name = format!("{lost:?}-{round}").replace(['(', ')', ',', ' '], "");
        let ours = stay.lock(&name).ttl(TTL).build().unwrap();
        let theirs = witness.lock(&name).ttl(TTL).build().unwrap();
        let first = hold(&theirs).await;
        let before = first.fence();
        let place = format!("{{lock:{name}}}:q");
        let free = async |waits: bool| {
            while waits && server.command(&["ZCARD", &place]).await.integer() == 0 {}
            assert_eq!(first.release().await.unwrap(), Release::Released);
        };
        monitor.ran(&server, &name).await;
        let began = Instant::now();
        let leased = if lost.0 == Since::Wait {
            lose(Since::Wait);
            tokio::join!(ours.lease(BOUND), free(true)).0
        } else {
            free(false).await;
            lose(Since::Take);
            ours.lease(BOUND).await
        };
        let LeaseAttempt::Leased(lease) = leased.unwrap() else {
            panic!("{lost:?}: it was released");
        };
        let ran = monitor.ran(&server, &name).await;
        let fence = lease.fence;
        assert!(fence > before, "{lost:?}");
        assert!(ran.fences.iter().eq([&fence.get()]), "{lost:?}: {ran:?}");
        twice[0] += u32::from(ran.grants > 1);
        assert!(is_held(&theirs).await, "{lost:?}: two holders");
        monitor.ran(&server, &name).await;
        lose(Since::Renew);
        for _ in 0..2 {
            let renewed = ours.renew(&lease.token).await.unwrap();
            let renewed = renewed.unwrap_or_else(|| panic!("{lost:?}: it is held"));
            assert_eq!(renewed.fence, fence, "{lost:?}");
        }
        twice[1] += u32::from(monitor.ran(&server, &name).await.scripts > 2);
        assert!(is_held(&theirs).await, "{lost:?}: two holders");
        monitor.ran(&server, &name).await;
        lose(Since::Release);
        let released = ours.release(&lease.token).await.unwrap();
        assert_eq!(released, Release::Released, "{lost:?}");
        twice[2] += u32::from(monitor.ran(&server, &name).await.scripts > 1);
        let next = hold(&theirs).await;
        let took = began.elapsed();
        slowest = slowest.max(took);
        assert!(took < NO_STALL, "{lost:?}: {took:?}");
        assert!(next.fence() > fence, "{lost:?}");
        assert_eq!(next.release().await.unwrap(), Release::Released);
    }
    let [acquired, renewed, released] = twice;
    println!(
        "{flavor}: L4 {} replies lost: {acquired} acquisitions, {renewed} renewals, {released} releases ran again, one fence each, {slowest:?} from first call to last at most, ttl {TTL:?}",
        proxy.dropped_replies()
    );
    assert!(twice.iter().all(|times| *times > 0), "{twice:?}");
}

async fn l4_a_guard_stays_held_though_replies_to_its_renewals_are_lost(flavor: Flavor) {
    const TTL: Duration = Duration::from_millis(1_500);
    let server = Server::start(flavor).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let stay = connect(&proxy.url()).await;
    let lock = stay.lock("report").ttl(TTL).build().unwrap();
    let mut monitor = Monitor::start(&server).await;
    // So that the server knows the scripts: the reply that it does not is not the one to lose.
    hold(&lock).await.release().await.unwrap();
    let guard = hold(&lock).await;
    let fence = guard.fence().get();
    monitor.ran(&server, "report").await;
    let began = Instant::now();
    let length = extent(Duration::from_secs(4), Duration::from_secs(20));
    while began.elapsed() < length {
        // The next one, soon after the last was lost.
        proxy.drop_reply(1);
        let dropped = proxy.dropped_replies();
        while proxy.dropped_replies() == dropped && began.elapsed() < length {
            guard.check().unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        sleep(TTL / 5).await;
    }
    let renewals = monitor.ran(&server, "report").await;
    assert_eq!(renewals.fences, BTreeSet::new());
    guard.check().unwrap();
    let seen = server.command(&["HGET", "{lock:report}:f", "fence"]).await;
    assert_eq!(seen.text(), fence.to_string());
    proxy.drop_reply(1);
    let releasing = Instant::now();
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    let took = releasing.elapsed();
    let releases = monitor.ran(&server, "report").await.scripts;
    println!(
        "{flavor}: L4 held for {length:?} with ttl {TTL:?}: {} replies lost, {} renewals, no loss; released in {took:?}, run {releases} times",
        proxy.dropped_replies(),
        renewals.scripts
    );
    assert!(proxy.dropped_replies() > 4);
    assert!(releases > 1, "the reply to the release was not lost");
}
