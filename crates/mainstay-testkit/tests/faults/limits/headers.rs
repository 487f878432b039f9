//! What an axum service tells its clients of its limits, as an RFC 9651 parser reads it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_util::future::join_all;
use mainstay::http::limit::{ClientAddress, LimitLayer, header_key};
use mainstay::ratelimit::{Limiter, Policy};
use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::header::HeaderMap;
use reqwest::{Client, Response};
use serde_json::Value;
use sfv::{BareItem, List, ListEntry, Parser};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{connect, extent, on_both_flavors};

const QUOTAS: [(&str, i64); 2] = [("burst", 20), ("window", 50)];

on_both_flavors! {
    r10_header_fields_are_structured_and_tell_what_is_left
    r10_layers_within_layers_tell_all_their_quotas
    r10_clients_behind_trusted_proxies_are_told_apart
}

async fn limiter(flavor: Flavor) -> (Server, Limiter) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let second = Duration::from_secs(1);
    let limiter = stay.limiter(Policy::gcra("burst", 100, second, 20).unwrap());
    let limiter = limiter.and(Policy::window("window", 50, second).unwrap());
    (server, limiter.unwrap())
}

fn app() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Serves hello at an address until it is dropped.
struct Service(JoinHandle<()>, String);

impl Service {
    async fn start(layer: LimitLayer) -> Self {
        Self::serve(app().layer(layer)).await
    }

    async fn serve(app: Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = async move { axum::serve(listener, app).await.unwrap() };
        Self(tokio::spawn(serving), url)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Name and integer parameters of each entry, and its partition key.
fn entries(headers: &HeaderMap, name: &str) -> Vec<(String, [Option<i64>; 4], Vec<u8>)> {
    let text = headers[name].to_str().unwrap();
    let list: List = Parser::new(text).parse().unwrap();
    let entries = list.into_iter().map(|entry| {
        let ListEntry::Item(item) = entry else {
            panic!("{name} holds a list: {text}");
        };
        let BareItem::String(name) = item.bare_item else {
            panic!("no string: {text}");
        };
        let number = |key: &str| {
            item.params
                .get(key)
                .map(|it| i64::from(it.as_integer().unwrap()))
        };
        let numbers = ["q", "w", "r", "t"].map(number);
        let key = item.params.get("pk").and_then(BareItem::as_byte_sequence);
        (
            name.as_str().to_owned(),
            numbers,
            key.unwrap_or_default().to_vec(),
        )
    });
    entries.collect()
}

/// Whether it was admitted, after its fields were checked.
async fn checked(response: Response) -> bool {
    let (status, headers) = (response.status(), response.headers().clone());
    let policies = entries(&headers, "ratelimit-policy");
    let expected: Vec<_> = QUOTAS
        .iter()
        .map(|(name, quota)| {
            (
                (*name).to_owned(),
                [Some(*quota), Some(1), None, None],
                b"ada".to_vec(),
            )
        })
        .collect();
    assert_eq!(policies, expected);
    let left = entries(&headers, "ratelimit");
    assert_eq!(left.len(), QUOTAS.len());
    for ((name, numbers, key), (expected, quota)) in left.iter().zip(QUOTAS) {
        let [None, None, Some(remaining), Some(restored)] = *numbers else {
            panic!("{left:?}");
        };
        assert_eq!((name.as_str(), key.as_slice()), (expected, &b"ada"[..]));
        assert!((0..=quota).contains(&remaining), "{left:?}");
        assert!((0..=2).contains(&restored), "{left:?}");
    }
    assert!(headers.contains_key("x-ratelimit-limit"));
    if status == 200 {
        assert!(!headers.contains_key("retry-after"));
        return true;
    }
    assert_eq!(
        (status.as_u16(), &headers["content-type"]),
        (429, &"application/problem+json".parse().unwrap())
    );
    let retry_after: i64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    let document: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(
        document["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    let violated = document["violated-policies"].as_array().unwrap();
    assert!(!violated.is_empty(), "{document}");
    for name in violated {
        let (_, [.., restored], _) = left.iter().find(|(it, ..)| it == name).unwrap();
        assert!(
            retry_after >= restored.unwrap(),
            "{left:?}, Retry-After {retry_after}"
        );
    }
    false
}

async fn r10_header_fields_are_structured_and_tell_what_is_left(flavor: Flavor) {
    let (_server, limiter) = limiter(flavor).await;
    let layer = LimitLayer::new(limiter, header_key("x-api-key")).unwrap();
    let service = Service::start(layer.legacy_headers().partition_key()).await;
    let client = Client::new();
    let (mut admitted, mut denied) = (0, 0);
    for _ in 0..extent(5, 50) {
        let calls = (0..32).map(|_| client.get(&service.1).header("x-api-key", "ada").send());
        for response in join_all(calls).await {
            if checked(response.unwrap()).await {
                admitted += 1;
            } else {
                denied += 1;
            }
        }
    }
    println!(
        "{flavor}: R10 {admitted} admitted and {denied} denied by axum: all fields parsed, nothing out of its range"
    );
    assert!(
        admitted >= 20 && denied > 0,
        "{admitted} admitted, {denied} denied"
    );
}

async fn r10_layers_within_layers_tell_all_their_quotas(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let layer = |policy: &str| {
        let limiter = stay.limiter(policy.parse().unwrap());
        let layer = LimitLayer::new(limiter, header_key("x-api-key")).unwrap();
        layer.legacy_headers()
    };
    // No structured field holds a number as large as the outer limit.
    let (inner, outer) = (layer("day=5/day:fixed"), layer("all=9007199254740992/1m"));
    let service = Service::serve(app().layer(inner).layer(outer)).await;
    let request = Client::new().get(&service.1).header("x-api-key", "ada");
    let response = request.send().await.unwrap();
    let headers = response.headers();
    let both = |name, place: usize| {
        let entries = entries(headers, name).into_iter();
        let numbers = entries.map(|(name, numbers, _)| (name, numbers[place]));
        numbers.collect::<Vec<_>>()
    };
    let told = |day, all| {
        let both = [("day", day), ("all", all)];
        both.map(|(name, number)| (name.to_owned(), Some(number)))
    };
    assert_eq!(both("ratelimit-policy", 0), told(5, 999_999_999_999_999));
    assert_eq!(both("ratelimit-policy", 1), told(86_400, 60));
    assert_eq!(both("ratelimit", 2), told(4, 999_999_999_999_999));
    assert_eq!(headers["x-ratelimit-limit"], "5");
    assert_eq!(headers["x-ratelimit-remaining"], "4");
    println!("{flavor}: R10 two layers: all fields parsed, both quotas told");
}

async fn r10_clients_behind_trusted_proxies_are_told_apart(flavor: Flavor) {
    let (_server, limiter) = limiter(flavor).await;
    let behind = ClientAddress::behind(["127.0.0.1"]).unwrap();
    let service = Service::start(LimitLayer::new(limiter, behind).unwrap()).await;
    let client = Client::new();
    let admitted = async |forwarded: &str| {
        let calls = (0..30).map(|_| {
            client
                .get(&service.1)
                .header("x-forwarded-for", forwarded)
                .send()
        });
        let calls = join_all(calls).await.into_iter().map(Result::unwrap);
        calls.filter(|it| it.status() == 200).count()
    };
    // Each client has a burst of its own, whatever it has written before its address.
    let each = [
        admitted("203.0.113.1").await,
        admitted("198.51.100.66, 203.0.113.2").await,
        admitted("198.51.100.67, 203.0.113.3, 127.0.0.1").await,
    ];
    println!("{flavor}: R10 clients behind a proxy, 30 requests each at once: {each:?} admitted");
    assert!(
        each.iter().all(|count| (20..30).contains(count)),
        "{each:?}"
    );
}
