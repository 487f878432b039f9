//! Programs that use redis-py, ioredis or plain Go, and mainstay, side by side.

#![expect(clippy::unwrap_used, reason = "what the tests share fails as they do")]

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use mainstay::Mainstay;
use mainstay::lock::{Acquire, LockGuard};
use mainstay::pubsub::Item;
use mainstay_server::{Config, EnvoyRule, LimitConfig, Limits};
use mainstay_testkit::fixture::{Flavor, ForeignClient, Server, eventually};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(20);

/// A language that the programs in `clients/` are written in.
#[derive(Debug, Clone, Copy)]
enum Language {
    Python,
    Node,
    Go,
}

impl Language {
    fn start(self, program: &str, arguments: &[&str]) -> ForeignClient {
        match self {
            Self::Python => ForeignClient::python(&format!("{program}.py"), arguments),
            Self::Node => ForeignClient::node(&format!("{program}.mjs"), arguments),
            Self::Go => ForeignClient::go(&format!("{program}.go"), arguments),
        }
    }
}

/// Stamps each `async fn(Flavor, Language)` for both servers and each of the languages.
macro_rules! with_each_language {
    ($($module:ident $Flavor:ident $Language:ident,)* => $names:tt) => {
        $(with_each_language! { @ $module $Flavor $Language $names })*
    };
    (@ $module:ident $Flavor:ident $Language:ident [$($name:ident)*]) => {
        mod $module {$(
            #[tokio::test]
            async fn $name() {
                crate::$name(crate::Flavor::$Flavor, crate::Language::$Language).await;
            }
        )*}
    };
}

mod locks {
    with_each_language! {
        redis_python Redis Python,
        redis_node Redis Node,
        redis_go Redis Go,
        valkey_python Valkey Python,
        valkey_node Valkey Node,
        valkey_go Valkey Go,
        => [
            the_plain_lock_recipe_and_mainstay_exclude_each_other
            a_late_release_of_the_plain_recipe_does_not_free_ours
        ]
    }
}

mod channels {
    with_each_language! {
        redis_python Redis Python,
        redis_node Redis Node,
        valkey_python Valkey Python,
        valkey_node Valkey Node,
        => [
            a_plain_subscriber_hears_our_events
            plain_json_reaches_our_subscriber_as_an_event
        ]
    }
}

mod envoy {
    with_each_language! {
        redis_python Redis Python,
        valkey_python Valkey Python,
        => [a_client_of_envoys_own_messages_is_limited_by_all_servers_together]
    }
}

async fn take(stay: &Mainstay) -> LockGuard {
    let lock = stay.lock("report").build().unwrap();
    match lock.acquire(BOUND).await.unwrap() {
        Acquire::Acquired(guard) => guard,
        other @ Acquire::Held { .. } => panic!("not acquired: {other:?}"),
    }
}

async fn is_held(stay: &Mainstay) -> bool {
    let lock = stay.lock("report").build().unwrap();
    matches!(lock.try_acquire().await.unwrap(), Acquire::Held { .. })
}

fn token(answer: &str) -> &str {
    answer.strip_prefix("ok ").expect("the lock is free")
}

async fn the_plain_lock_recipe_and_mainstay_exclude_each_other(flavor: Flavor, language: Language) {
    let server = Server::start(flavor).await;
    let stay = Mainstay::connect(&server.url()).await.unwrap();
    let mut foreign = language.start("lock", &[&server.url()]);

    let answer = foreign.request("acquire report 60000").await;
    assert!(is_held(&stay).await);
    let waiting = take(&stay);
    let release = async {
        let request = format!("release report {}", token(&answer));
        assert_eq!(foreign.request(&request).await, "1");
    };
    let both = async { tokio::join!(waiting, release) };
    let (ours, ()) = timeout(BOUND, both)
        .await
        .expect("their release lets us in");

    assert_eq!(foreign.request("acquire report 60000").await, "held");
    assert_eq!(foreign.request("release report guessed").await, "0");
    ours.check().unwrap();
    ours.release().await.unwrap();
    let answer = foreign.request("acquire report 60000").await;
    assert!(!token(&answer).is_empty());
    assert!(is_held(&stay).await);
}

async fn a_late_release_of_the_plain_recipe_does_not_free_ours(flavor: Flavor, language: Language) {
    let server = Server::start(flavor).await;
    let stay = Mainstay::connect(&server.url()).await.unwrap();
    let mut foreign = language.start("lock", &[&server.url()]);

    let answer = foreign.request("acquire report 50").await;
    let ours = take(&stay).await;
    let late = format!("release report {}", token(&answer));
    assert_eq!(foreign.request(&late).await, "0");
    assert_eq!(foreign.request("acquire report 50").await, "held");
    ours.check().unwrap();
    assert!(is_held(&stay).await);
}

async fn a_plain_subscriber_hears_our_events(flavor: Flavor, language: Language) {
    let server = Server::start(flavor).await;
    let stay = Mainstay::connect(&server.url()).await.unwrap();
    let mut foreign = language.start("subscribe", &[&server.url(), "orders"]);
    assert_eq!(foreign.read_line().await, "ready");

    let channel = stay
        .channel::<Value>("orders")
        .source("urn:shop")
        .build()
        .unwrap();
    let data = json!({"number": 7, "who": "Änne"});
    assert_eq!(channel.publish("order.created", &data).await.unwrap(), 1);
    let heard: Value = serde_json::from_str(&foreign.read_line().await).unwrap();
    assert_eq!(heard["specversion"], "1.0");
    assert_eq!(heard["type"], "order.created");
    assert_eq!(heard["source"], "urn:shop");
    assert_eq!(heard["data"], data);
}

async fn plain_json_reaches_our_subscriber_as_an_event(flavor: Flavor, language: Language) {
    let server = Server::start(flavor).await;
    let stay = Mainstay::connect(&server.url()).await.unwrap();
    let channel = stay.channel::<Value>("orders").build().unwrap();
    let mut subscriber = channel.subscribe().await.unwrap();
    eventually("one listener", BOUND, async || {
        let reply = server.command(&["PUBSUB", "NUMSUB", "orders"]).await;
        match reply.items()[1].integer() {
            1 => Ok(()),
            other => Err(format!("{other} listeners")),
        }
    })
    .await;

    let mut foreign = language.start("publish", &[&server.url(), "orders"]);
    let sent = json!({"type": "order.created", "who": "Änne"});
    foreign.send(&sent.to_string()).await;
    let item = timeout(BOUND, subscriber.next()).await.expect("it arrives");
    let Item::Event { event, .. } = item else {
        panic!("no event: {item:?}");
    };
    assert_eq!((event.kind.as_str(), event.data), ("order.created", sent));
}

/// A server with limits for Envoy, until it is dropped.
async fn serve_limits(redis: &Server) -> (SocketAddr, JoinHandle<()>) {
    let stay = Mainstay::connect(&redis.url()).await.unwrap();
    let mut limits = LimitConfig::default();
    limits.policies.push("address=3/1h:exact".parse().unwrap());
    let rule = EnvoyRule::new("edge", &["path=/login", "remote_address"], &["address"]);
    limits.envoy.push(rule.unwrap());
    let mut config = Config::default();
    config.limits = Limits::new(limits).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let run = mainstay_server::run(listener, stay, config, pending());
        run.await.unwrap();
    });
    (address, task)
}

async fn a_client_of_envoys_own_messages_is_limited_by_all_servers_together(
    flavor: Flavor,
    language: Language,
) {
    let redis = Server::start(flavor).await;
    let servers = [serve_limits(&redis).await, serve_limits(&redis).await];
    let clients = servers
        .iter()
        .map(|(address, _)| language.start("rate_limit", &[&address.to_string()]));
    let mut clients: Vec<_> = clients.collect();
    let descriptor = json!({"entries": [
        {"key": "path", "value": "/login"},
        {"key": "remote_address", "value": "192.0.2.1"},
    ]});
    let request = json!({"domain": "edge", "descriptors": [descriptor]}).to_string();
    for (turn, left) in [2, 1, 0].into_iter().enumerate() {
        let answer = clients[turn % 2].request(&request).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["overallCode"], "OK", "{answer}");
        let status = &answer["statuses"][0];
        assert_eq!(status["limitRemaining"].as_u64().unwrap_or(0), left);
        let limit = json!({"name": "address", "requestsPerUnit": 3, "unit": "HOUR"});
        assert_eq!(status["currentLimit"], limit);
    }
    for client in &mut clients {
        let answer = client.request(&request).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["overallCode"], "OVER_LIMIT", "{answer}");
        let fields = answer["responseHeadersToAdd"].as_array().unwrap();
        let retry = fields.iter().find(|it| it["key"] == "retry-after").unwrap();
        let wait: u64 = retry["value"].as_str().unwrap().parse().unwrap();
        assert!((3_500..=3_600).contains(&wait), "{wait}");
        let limit = fields.iter().find(|it| it["key"] == "ratelimit").unwrap();
        assert_eq!(limit["value"], format!("\"address\";r=0;t={wait}"));
    }
    let nothing = json!({"domain": "edge"}).to_string();
    assert_eq!(clients[0].request(&nothing).await, "error INVALID_ARGUMENT");
    for (_, task) in servers {
        task.abort();
    }
}
