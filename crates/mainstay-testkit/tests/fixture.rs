//! The fixtures do what the other tests rely on, on both flavors.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use mainstay_testkit::fixture::{
    Cluster, Connection, FaultProxy, Flavor, ForeignClient, Mode, Persistence, Reply, SentinelSet,
    Server, WallClock, eventually,
};
use tokio::time::{Instant, timeout};

/// Long enough for anything on the loopback that is going to happen at all.
const NEVER: Duration = Duration::from_millis(200);
const BOUND: Duration = Duration::from_secs(10);

/// Runs each `async fn(Flavor)` as one test for each flavor.
macro_rules! on_both_flavors {
    ($($name:ident)*) => {
        mod redis {$(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Flavor::Redis).await;
            }
        )*}
        mod valkey {$(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Flavor::Valkey).await;
            }
        )*}
    };
}

on_both_flavors! {
    a_started_server_is_of_its_flavor_and_keeps_nothing
    an_append_only_file_keeps_a_key_across_a_kill
    a_password_is_in_the_url_and_required
    a_stopped_server_answers_once_it_continues
    a_stepped_wall_clock_is_that_of_its_server_alone
    a_dropped_server_leaves_no_process
    a_replica_takes_over_the_slots_of_a_killed_primary
    a_replica_becomes_the_primary_of_the_sentinels
    a_delay_adds_to_each_round_trip
    a_blackhole_answers_once_it_ends
    a_refusing_proxy_closes_connections_and_comes_back
    a_reset_ends_present_connections_only
    a_dropped_reply_is_lost_after_its_command_was_executed
    swallowed_pushes_leave_replies_alone
    locks_of_redis_py_and_ioredis_exclude_each_other
    messages_pass_between_redis_py_and_ioredis
}

#[tokio::test]
#[should_panic(expected = "no-such-directive")]
async fn a_server_that_cannot_start_panics_with_its_log() {
    let builder = Server::builder(Flavor::Redis).arg("no-such-directive", "1");
    builder.start().await;
}

#[tokio::test]
async fn a_server_outlives_the_runtime_that_started_it() {
    let start = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(Server::start(Flavor::Redis))
    };
    let server = std::thread::spawn(start).join().unwrap();
    assert_eq!(server.command(&["PING"]).await.text(), "PONG");
}

/// Fails to compile if a fixture cannot be set up in a spawned task.
#[test]
fn fixtures_can_be_started_in_a_task_of_any_thread() {
    fn sendable<T: Send>(future: T) {
        drop(future);
    }
    sendable(Server::start(Flavor::Redis));
    sendable(Cluster::start(Flavor::Redis, 3, 1));
    sendable(SentinelSet::start(Flavor::Redis));
    sendable(FaultProxy::start(([127, 0, 0, 1], 1).into()));
}

fn ok() -> Reply {
    Reply::Status("OK".to_owned())
}

async fn ask(connection: &mut Connection, words: &[&str]) -> Reply {
    connection.command(words).await.unwrap()
}

async fn a_started_server_is_of_its_flavor_and_keeps_nothing(flavor: Flavor) {
    let mut server = Server::start(flavor).await;
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    let info = server.command(&["INFO", "server"]).await;
    let is_valkey = info.text().contains("server_name:valkey");
    assert_eq!(is_valkey, flavor == Flavor::Valkey);

    assert_eq!(server.command(&["SET", "key", "value"]).await, ok());
    let refused = server.command(&["LPUSH", "key", "x"]).await;
    assert!(matches!(refused, Reply::Error(text) if text.starts_with("WRONGTYPE")));
    assert_eq!(server.command(&["DEBUG", "SLEEP", "0"]).await, ok());
    server.restart().await;
    assert_eq!(server.command(&["DBSIZE"]).await.integer(), 0);
}

async fn an_append_only_file_keeps_a_key_across_a_kill(flavor: Flavor) {
    let builder = Server::builder(flavor).persistence(Persistence::Aof);
    let mut server = builder.arg("maxmemory", "64mb").start().await;
    server.command(&["SET", "key", "value"]).await;
    let (addr, pid) = (server.addr(), server.pid());

    server.kill();
    let refused = Connection::open(addr).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(!server.is_running());

    server.restart().await;
    assert_eq!(server.addr(), addr);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.command(&["GET", "key"]).await.text(), "value");
    let limit = server.command(&["CONFIG", "GET", "maxmemory"]).await;
    assert_eq!(limit.items()[1].text(), (64 << 20).to_string());
}

async fn a_password_is_in_the_url_and_required(flavor: Flavor) {
    let server = Server::builder(flavor).password("secret").start().await;
    let url = format!("redis://:secret@127.0.0.1:{}", server.port());
    assert_eq!(server.url(), url);
    let mut stranger = Connection::open(server.addr()).await.unwrap();
    let refused = ask(&mut stranger, &["PING"]).await;
    assert!(matches!(refused, Reply::Error(text) if text.starts_with("NOAUTH")));
    assert_eq!(server.command(&["PING"]).await.text(), "PONG");
}

async fn a_stopped_server_answers_once_it_continues(flavor: Flavor) {
    let server = Server::start(flavor).await;
    server.stop();
    let mut waiting = Box::pin(server.command(&["PING"]));
    assert!(timeout(NEVER, &mut waiting).await.is_err());
    server.cont();
    assert_eq!(waiting.await.text(), "PONG");
}

async fn a_stepped_wall_clock_is_that_of_its_server_alone(flavor: Flavor) {
    const HOUR: i64 = 3_600;
    let mut clock = WallClock::start();
    let moved = Server::builder(flavor).wall_clock(&clock).start().await;
    let other = Server::start(flavor).await;
    let script = "return tonumber(redis.call('TIME')[1])";
    let time = async |server: &Server| server.command(&["EVAL", script, "0"]).await.integer();
    for step in [0, HOUR, -HOUR, -HOUR] {
        let set = ["SET", "key", "value", "EX", "60"];
        assert_eq!(moved.command(&set).await, ok());
        let before = time(&moved).await - time(&other).await;
        clock.step(step);
        let after = time(&moved).await - time(&other).await;
        // Two questions may be on either side of a second.
        let off = (after - before - step).abs();
        assert!(off <= 2, "{off} s beside {step}");
        let left = moved.command(&["TTL", "key"]).await.integer();
        let expected = if step > 0 { -2 } else { 60 - step };
        assert!((left - expected).abs() <= 2, "{left} s left after {step}");
    }
}

async fn a_dropped_server_leaves_no_process(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let entry = format!("/proc/{}", server.pid());
    let name = fs::read_to_string(format!("{entry}/comm")).unwrap();
    assert_eq!(name.trim(), format!("{flavor}-server"));
    server.stop();
    drop(server);
    assert!(fs::metadata(entry).is_err());
}

async fn a_replica_takes_over_the_slots_of_a_killed_primary(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor, 3, 1).await;
    let addrs: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|n| n.addr().to_string())
        .collect();
    let seeds = addrs[..3].join(",");
    assert_eq!(cluster.url(), format!("redis-cluster://{seeds}"));
    let key = "key";
    let slot = cluster.nodes()[0]
        .command(&["CLUSTER", "KEYSLOT", key])
        .await
        .integer();
    let slot = u16::try_from(slot).unwrap();

    let primary = cluster.primary_of(slot).await;
    assert_eq!(primary, 2, "slot {slot} is in the last third");
    let mut connection = cluster.nodes()[primary].connect().await.unwrap();
    assert_eq!(ask(&mut connection, &["SET", key, "value"]).await, ok());
    let copies = ask(&mut connection, &["WAIT", "1", "5000"]).await;
    assert_eq!(copies.integer(), 1);
    cluster.kill(primary);
    cluster.wait_ok().await;

    let successor = cluster.primary_of(slot).await;
    assert_eq!(successor, primary + 3);
    let value = cluster.nodes()[successor].command(&["GET", key]).await;
    assert_eq!(value.text(), "value");

    cluster.restart(primary).await;
    cluster.wait_ok().await;
    assert_eq!(cluster.primary_of(slot).await, successor);
}

async fn a_replica_becomes_the_primary_of_the_sentinels(flavor: Flavor) {
    let mut set = SentinelSet::start(flavor).await;
    let addrs: Vec<_> = set
        .sentinels()
        .iter()
        .map(|s| s.addr().to_string())
        .collect();
    let url = format!("redis-sentinel://{}/primary", addrs.join(","));
    assert_eq!(set.url(), url);
    let before = set.primary_addr().await;
    assert_eq!(before, set.nodes()[0].addr());

    let killed = set.kill_primary().await;
    assert_eq!(killed, 0);
    set.wait_ok().await;
    let after = set.primary_addr().await;
    assert_ne!(after, before);
    let mut connection = Connection::open(after).await.unwrap();
    assert_eq!(ask(&mut connection, &["SET", "key", "value"]).await, ok());

    set.restart(killed).await;
    set.wait_ok().await;
    assert_eq!(set.primary_addr().await, after);
}

async fn proxied(flavor: Flavor) -> (Server, FaultProxy, Connection) {
    let server = Server::start(flavor).await;
    let proxy = FaultProxy::start(server.addr()).await;
    let mut connection = Connection::open(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut connection, &["PING"]).await.text(), "PONG");
    (server, proxy, connection)
}

async fn open_error(addr: SocketAddr) -> ErrorKind {
    Connection::open(addr).await.unwrap_err().kind()
}

async fn a_delay_adds_to_each_round_trip(flavor: Flavor) {
    let (_server, mut proxy, mut connection) = proxied(flavor).await;
    proxy.set_mode(Mode::Delay(NEVER)).await;
    let before = Instant::now();
    assert_eq!(ask(&mut connection, &["PING"]).await.text(), "PONG");
    assert!(before.elapsed() >= NEVER);
}

async fn a_blackhole_answers_once_it_ends(flavor: Flavor) {
    let (server, mut proxy, mut present) = proxied(flavor).await;
    proxy.set_mode(Mode::Blackhole).await;
    present.send(&["SET", "key", "value"]).await.unwrap();
    let mut new = Connection::open(proxy.addr()).await.unwrap();
    new.send(&["PING"]).await.unwrap();
    assert!(timeout(NEVER, present.read()).await.is_err());
    assert!(timeout(NEVER, new.read()).await.is_err());
    assert_eq!(server.command(&["DBSIZE"]).await.integer(), 0);

    proxy.set_mode(Mode::Forward).await;
    assert_eq!(present.read().await.unwrap(), ok());
    assert_eq!(new.read().await.unwrap().text(), "PONG");
}

async fn a_refusing_proxy_closes_connections_and_comes_back(flavor: Flavor) {
    let (_server, mut proxy, mut connection) = proxied(flavor).await;
    proxy.set_mode(Mode::Refuse).await;
    let closed = connection.read().await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(open_error(proxy.addr()).await, ErrorKind::ConnectionRefused);

    proxy.set_mode(Mode::Forward).await;
    let mut connection = Connection::open(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut connection, &["PING"]).await.text(), "PONG");
    let addr = proxy.addr();
    drop(proxy);
    let closed = connection.read().await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(open_error(addr).await, ErrorKind::ConnectionRefused);
}

async fn a_reset_ends_present_connections_only(flavor: Flavor) {
    let (server, proxy, mut connection) = proxied(flavor).await;
    proxy.reset_all().await;
    let reset = connection.read().await.unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    let mut connection = Connection::open(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut connection, &["PING"]).await.text(), "PONG");
    eventually("one proxied client", BOUND, || async {
        let clients = server.command(&["CLIENT", "LIST"]).await;
        match clients.text().lines().count() {
            2 => Ok(()),
            _ => Err(clients.text().to_owned()),
        }
    })
    .await;
}

async fn a_dropped_reply_is_lost_after_its_command_was_executed(flavor: Flavor) {
    let (server, proxy, mut connection) = proxied(flavor).await;
    proxy.drop_reply(2);
    for _ in 0..3 {
        connection.send(&["INCR", "counter"]).await.unwrap();
    }
    assert_eq!(connection.read().await.unwrap(), Reply::Integer(1));
    let closed = connection.read().await.unwrap_err();
    let closings = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
    assert!(closings.contains(&closed.kind()), "{closed:?}");
    assert_eq!(proxy.dropped_replies(), 1);
    let counter = server.command(&["GET", "counter"]).await;
    assert!(["2", "3"].contains(&counter.text()), "{counter:?}");

    let mut connection = Connection::open(proxy.addr()).await.unwrap();
    assert_eq!(ask(&mut connection, &["PING"]).await.text(), "PONG");
    assert_eq!(proxy.dropped_replies(), 1);
}

async fn swallowed_pushes_leave_replies_alone(flavor: Flavor) {
    let (server, proxy, mut connection) = proxied(flavor).await;
    ask(&mut connection, &["HELLO", "3"]).await;
    ask(&mut connection, &["CLIENT", "TRACKING", "ON", "BCAST"]).await;

    server.command(&["SET", "heard", "1"]).await;
    let push = connection.read().await.unwrap();
    assert_eq!(push.items()[1].items()[0].text(), "heard");

    proxy.swallow_pushes();
    server.command(&["SET", "unheard", "1"]).await;
    assert_eq!(ask(&mut connection, &["GET", "unheard"]).await.text(), "1");
    assert!(timeout(NEVER, connection.read()).await.is_err());

    proxy.forward_pushes();
    server.command(&["SET", "heard again", "1"]).await;
    let push = connection.read().await.unwrap();
    assert_eq!(push.items()[1].items()[0].text(), "heard again");
}

async fn locks_of_redis_py_and_ioredis_exclude_each_other(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let mut clients = [
        ForeignClient::python("lock.py", &[&server.url()]),
        ForeignClient::node("lock.mjs", &[&server.url()]),
    ];
    for owner in [0, 1] {
        let answer = clients[owner].request("acquire name 60000").await;
        let token = answer.strip_prefix("ok ").expect("the lock is free");
        let value = server.command(&["GET", "lock:name"]).await;
        assert_eq!(value.text(), token);
        let ttl_ms = server.command(&["PTTL", "lock:name"]).await.integer();
        assert!((1..=60_000).contains(&ttl_ms));
        let other = &mut clients[1 - owner];
        assert_eq!(other.request("acquire name 60000").await, "held");
        assert_eq!(other.request("release name another").await, "0");
        let release = format!("release name {token}");
        assert_eq!(clients[owner].request(&release).await, "1");
        assert_eq!(clients[owner].request(&release).await, "0");
    }
}

async fn messages_pass_between_redis_py_and_ioredis(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let url = server.url();
    let arguments = [url.as_str(), "channel"];
    let mut subscribers = [
        ForeignClient::python("subscribe.py", &arguments),
        ForeignClient::node("subscribe.mjs", &arguments),
    ];
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.read_line().await, "ready");
    }
    let mut python = ForeignClient::python("publish.py", &arguments);
    let mut node = ForeignClient::node("publish.mjs", &arguments);
    for (publisher, text) in [(&mut python, "from Python"), (&mut node, "von Node ü")] {
        publisher.send(text).await;
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.read_line().await, text);
        }
    }
}
