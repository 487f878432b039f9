use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};
use std::time::Duration;

use futures_util::{FutureExt, poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use redis::PushKind;

use super::*;

type Pushes = Arc<Mutex<Vec<PushKind>>>;

/// A wire, the server's side of it, the driver's task and what was pushed.
fn wire() -> (Wire, DuplexStream, JoinHandle<()>, Pushes) {
    let (ours, theirs) = duplex(1 << 16);
    let pushes = Pushes::default();
    let seen = Arc::clone(&pushes);
    let (wire, driver) = Wire::new(ours, Arc::new(move |push| lock(&seen).push(push.kind)));
    (wire, theirs, tokio::spawn(driver), pushes)
}

fn echo(number: usize) -> Cmd {
    let mut command = redis::cmd("ECHO");
    command.arg(number);
    command
}

/// Waits until these commands have arrived, and nothing else.
async fn arrive(server: &mut DuplexStream, commands: &[&Cmd]) {
    for command in commands {
        let wanted = command.get_packed_command();
        let mut received = vec![0; wanted.len()];
        let arrival = timeout(Duration::from_secs(10), server.read_exact(&mut received));
        arrival.await.unwrap().unwrap();
        assert_eq!(received, wanted);
    }
}

/// As [`wire`], with a driver that the test itself polls.
fn stepped() -> (Wire, DuplexStream, impl Future<Output = ()> + Send + Unpin) {
    let (ours, theirs) = duplex(1 << 16);
    let (wire, driver) = Wire::new(ours, Arc::new(|_| {}));
    (wire, theirs, Box::pin(driver))
}

fn subscription(channels: &[&str]) -> Cmd {
    let mut command = redis::cmd("SUBSCRIBE");
    command.arg(channels);
    command
}

#[tokio::test]
async fn replies_belong_to_commands_in_their_order_though_some_stop_waiting() {
    let (wire, mut server, _driver, _) = wire();
    let (one, two, three) = (echo(1), echo(2), echo(3));
    let mut first = Box::pin(wire.call(&one));
    let mut gone = Box::pin(wire.call(&two));
    let mut third = Box::pin(wire.call(&three));
    for call in [&mut first, &mut gone, &mut third] {
        assert!(poll!(call).is_pending());
    }
    drop(gone);
    arrive(&mut server, &[&one, &two, &three]).await;
    server
        .write_all(b":1\r\n:2\r\n-ERR three\r\n")
        .await
        .unwrap();
    assert_eq!(first.await, Ok(Value::Int(1)));
    assert!(matches!(third.await, Ok(Value::ServerError(_))));
}

#[tokio::test]
async fn several_commands_get_several_replies_and_pushes_go_aside() {
    let (wire, mut server, _driver, pushes) = wire();
    let mut pipeline = Pipeline::new();
    pipeline.add_command(echo(1)).add_command(echo(2));
    let single = echo(3);
    let calls = async { tokio::join!(wire.call_all(&pipeline), wire.call(&single)) };
    let mut calls = Box::pin(calls);
    assert!(poll!(&mut calls).is_pending());
    arrive(&mut server, &[&echo(1), &echo(2), &single]).await;
    let replies = b":1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n:2\r\n:3\r\n";
    server.write_all(replies).await.unwrap();
    let (both, third) = calls.await;
    assert_eq!(both, Ok(vec![Value::Int(1), Value::Int(2)]));
    assert_eq!(third, Ok(Value::Int(3)));
    assert_eq!(*lock(&pushes), [PushKind::Invalidate]);
    assert_eq!(wire.call_all(&Pipeline::new()).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_subscription_is_confirmed_for_each_channel_or_refused() {
    let (wire, mut server, _driver, pushes) = wire();
    let mut both = Box::pin(wire.subscribe(&["a", "b"]));
    assert!(poll!(&mut both).is_pending());
    arrive(&mut server, &[&subscription(&["a", "b"])]).await;
    let confirmation = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    server.write_all(confirmation).await.unwrap();
    // A message may come between the two.
    let message = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n";
    server.write_all(message).await.unwrap();
    tokio::task::yield_now().await;
    assert!(poll!(&mut both).is_pending());
    server.write_all(confirmation).await.unwrap();
    both.await.unwrap();
    let kinds = [PushKind::Subscribe, PushKind::Message, PushKind::Subscribe];
    assert_eq!(*lock(&pushes), kinds);

    let mut refused = Box::pin(wire.subscribe(&["c"]));
    assert!(poll!(&mut refused).is_pending());
    arrive(&mut server, &[&subscription(&["c"])]).await;
    server.write_all(b"-NOPERM no\r\n").await.unwrap();
    assert_eq!(refused.await.unwrap_err().code(), Some("NOPERM"));
}

#[tokio::test]
async fn the_end_of_the_connection_fails_who_waits_and_who_comes_later() {
    let (wire, server, driver, _) = wire();
    let one = echo(1);
    let mut waits = Box::pin(wire.call(&one));
    assert!(poll!(&mut waits).is_pending());
    drop(server);
    assert_eq!(waits.await, Err(Ended::BeforeReply));
    driver.await.unwrap();
    assert_eq!(wire.call(&one).await, Err(Ended::BeforeSending));
}

#[tokio::test]
async fn a_reply_that_nobody_has_asked_for_ends_the_connection() {
    let (wire, mut server, driver, _) = wire();
    server.write_all(b":1\r\n").await.unwrap();
    driver.await.unwrap();
    assert_eq!(wire.call(&echo(1)).await, Err(Ended::BeforeSending));
}

/// As large as all that may be unsent.
fn large() -> Cmd {
    let mut large = redis::cmd("SET");
    large.arg("key").arg(vec![b'x'; MOST_UNSENT]);
    large
}

fn four_large(wire: &Wire) -> (Cmd, Vec<JoinHandle<Result<Value, Ended>>>) {
    let large = large();
    let call = || {
        let (wire, large) = (wire.clone(), large.clone());
        tokio::spawn(async move { wire.call(&large).await })
    };
    let calls = (0..4).map(|_| call()).collect();
    (large, calls)
}

#[tokio::test]
async fn callers_wait_while_too_much_is_unsent_and_end_with_the_connection() {
    let (wire, server, _driver, _) = wire();
    let (_, calls) = four_large(&wire);
    // The server reads nothing: one is being sent, one waits in the buffer, two for room.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let unsent = lock(&wire.0.outbox).bytes.len();
    assert!(unsent <= MOST_UNSENT + 100, "{unsent} bytes");
    drop(server);
    for call in calls {
        let ended = timeout(Duration::from_secs(10), call).await;
        ended.unwrap().unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn callers_wait_for_room_and_get_it() {
    let (wire, mut server, _driver, _) = wire();
    let (large, calls) = four_large(&wire);
    for _ in 0..4 {
        arrive(&mut server, &[&large]).await;
        server.write_all(b"+OK\r\n").await.unwrap();
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(Value::Okay));
    }
    assert_eq!(lock(&wire.0.outbox).waiting, 0);
}

#[tokio::test]
async fn while_the_server_is_idle_a_command_is_sent_at_once() {
    let (wire, mut server, mut driver) = stepped();
    for number in 0..3 {
        let command = echo(number);
        let mut call = Box::pin(wire.call(&command));
        assert!(poll!(&mut call).is_pending());
        assert!(poll!(&mut driver).is_pending());
        assert!(arrive(&mut server, &[&command]).now_or_never().is_some());
        server.write_all(b":1\r\n").await.unwrap();
        assert!(poll!(&mut driver).is_pending());
        assert!(poll!(&mut call).is_ready());
    }
}

#[tokio::test]
async fn the_server_has_work_while_callers_take_their_replies() {
    let (wire, mut server, mut driver) = stepped();
    let commands: Vec<_> = (0..8).map(echo).collect();
    let mut calls: Vec<_> = commands.iter().map(|it| Box::pin(wire.call(it))).collect();
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    assert!(poll!(&mut driver).is_pending());
    arrive(&mut server, &commands.iter().collect::<Vec<_>>()).await;
    server.write_all(&b":1\r\n".repeat(8)).await.unwrap();
    assert!(poll!(&mut driver).is_pending());
    let mut answered = 0;
    for call in &mut calls {
        answered += usize::from(poll!(call).is_ready());
    }
    assert_eq!(answered, 8 / 4);
    let again = echo(8);
    let mut call = Box::pin(wire.call(&again));
    assert!(poll!(&mut call).is_pending());
    assert!(poll!(&mut driver).is_pending());
    assert!(arrive(&mut server, &[&again]).now_or_never().is_some());
    assert!(poll!(calls.last_mut().unwrap()).is_pending());
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_driver_sleeps_while_the_connection_takes_no_more() {
    let (wire, _server, mut driver) = stepped();
    let (large, small) = (large(), echo(1));
    let mut calls = [Box::pin(wire.call(&large)), Box::pin(wire.call(&small))];
    let count = Arc::new(Wakes::default());
    let waker = Arc::clone(&count).into();
    let mut context = Context::from_waker(&waker);
    for call in &mut calls {
        assert!(poll!(call).is_pending());
        assert!(driver.poll_unpin(&mut context).is_pending());
    }
    let mut seen = 0;
    for _ in 0..100 {
        let woken = count.0.load(Ordering::SeqCst);
        if woken == seen {
            return;
        }
        seen = woken;
        assert!(driver.poll_unpin(&mut context).is_pending());
    }
    panic!("polled again and again");
}
