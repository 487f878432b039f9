//! Envoy's rate limit service, asked by the client that its protocol is compiled to, and as JSON.

use std::time::Duration;

use mainstay::clock::ManualClock;
use mainstay_envoy::v3::rate_limit_descriptor::{Entry, RateLimitOverride};
use mainstay_envoy::v3::rate_limit_response::{Code, DescriptorStatus, rate_limit::Unit};
use mainstay_envoy::v3::rate_limit_service_client::RateLimitServiceClient;
use mainstay_envoy::v3::{RateLimitDescriptor, RateLimitRequest, RateLimitResponse, RateLimitUnit};
use mainstay_server::{ApiKeyHash, EnvoyRule, LimitConfig, Limits};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::server::{Server, header, problem};

fn limits() -> Limits {
    let mut config = LimitConfig::default();
    for text in ["address=2/1m", "login=1/1h:exact", "user=100/day:fixed"] {
        config.policies.push(text.parse().unwrap());
    }
    for (descriptor, limits) in [
        (
            &["path=/login", "remote_address"][..],
            &["login", "address"][..],
        ),
        (&["path=/health*", "remote_address"], &[]),
        (&["path", "remote_address"], &["address"]),
        (&["user"], &["user"]),
    ] {
        config
            .envoy
            .push(EnvoyRule::new("edge", descriptor, limits).unwrap());
    }
    Limits::new(config).unwrap()
}

async fn server() -> (Server, ManualClock, RateLimitServiceClient<Channel>) {
    let (server, clock) = Server::on_a_clock(|config| config.limits = limits()).await;
    let client = client(&server).await;
    (server, clock, client)
}

async fn client(server: &Server) -> RateLimitServiceClient<Channel> {
    let address = format!("http://{}", server.address);
    let channel = Channel::from_shared(address).unwrap().connect().await;
    RateLimitServiceClient::new(channel.unwrap())
}

fn descriptor(entries: &[(&str, &str)]) -> RateLimitDescriptor {
    let entries = entries.iter().map(|(key, value)| Entry {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    });
    RateLimitDescriptor {
        entries: entries.collect(),
        ..RateLimitDescriptor::default()
    }
}

fn request(descriptors: Vec<RateLimitDescriptor>) -> RateLimitRequest {
    RateLimitRequest {
        domain: "edge".to_owned(),
        descriptors,
        hits_addend: 0,
    }
}

async fn ask(
    client: &mut RateLimitServiceClient<Channel>,
    request: RateLimitRequest,
) -> RateLimitResponse {
    client
        .should_rate_limit(request)
        .await
        .unwrap()
        .into_inner()
}

fn codes(response: &RateLimitResponse) -> (Code, Vec<Code>) {
    let statuses = response.statuses.iter().map(DescriptorStatus::code);
    (response.overall_code(), statuses.collect())
}

fn field<'a>(response: &'a RateLimitResponse, name: &str) -> Option<&'a str> {
    let mut fields = response.response_headers_to_add.iter();
    fields.find(|it| it.key == name).map(|it| it.value.as_str())
}

#[tokio::test]
async fn a_descriptor_counts_down_to_over_limit_and_comes_back_when_it_says() {
    let (_server, clock, mut client) = server().await;
    let page = || {
        request(vec![descriptor(&[
            ("path", "/a"),
            ("remote_address", "192.0.2.1"),
        ])])
    };
    for left in [1, 0] {
        let response = ask(&mut client, page()).await;
        assert_eq!(codes(&response), (Code::Ok, vec![Code::Ok]));
        let status = &response.statuses[0];
        assert_eq!(status.limit_remaining, left);
        let limit = status.current_limit.as_ref().unwrap();
        assert_eq!((limit.requests_per_unit, limit.unit()), (2, Unit::Minute));
        assert_eq!(limit.name, "address");
        assert_eq!(
            field(&response, "ratelimit-policy"),
            Some("\"address\";q=2;w=60")
        );
        assert_eq!(field(&response, "retry-after"), None);
    }
    let denied = ask(&mut client, page()).await;
    assert_eq!(codes(&denied), (Code::OverLimit, vec![Code::OverLimit]));
    let wait = denied.statuses[0]
        .duration_until_reset
        .as_ref()
        .unwrap()
        .seconds;
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(
        field(&denied, "retry-after"),
        Some(wait.to_string().as_str())
    );
    assert_eq!(
        field(&denied, "ratelimit"),
        Some(format!("\"address\";r=0;t={wait}").as_str())
    );
    // Another value has its own count, and so has another path.
    let other = vec![descriptor(&[
        ("path", "/a"),
        ("remote_address", "192.0.2.2"),
    ])];
    assert_eq!(
        ask(&mut client, request(other)).await.overall_code(),
        Code::Ok
    );
    clock.advance(Duration::from_secs(u64::try_from(wait).unwrap()));
    assert_eq!(ask(&mut client, page()).await.overall_code(), Code::Ok);
}

#[tokio::test]
async fn what_one_descriptor_denies_is_charged_to_none() {
    let (_server, _clock, mut client) = server().await;
    let login = || descriptor(&[("path", "/login"), ("remote_address", "192.0.2.1")]);
    let user = || descriptor(&[("user", "ada")]);
    let both = || request(vec![login(), user(), descriptor(&[("unknown", "x")])]);
    let response = ask(&mut client, both()).await;
    assert_eq!(codes(&response), (Code::Ok, vec![Code::Ok; 3]));
    assert_eq!(response.statuses[1].limit_remaining, 99);
    assert_eq!(response.statuses[2].current_limit, None);
    let denied = ask(&mut client, both()).await;
    let expected = vec![Code::OverLimit, Code::Ok, Code::Ok];
    assert_eq!(codes(&denied), (Code::OverLimit, expected));
    // The tighter of the two policies of the rule.
    let limit = denied.statuses[0].current_limit.as_ref().unwrap();
    assert_eq!((limit.name.as_str(), limit.unit()), ("login", Unit::Hour));
    assert_eq!(denied.statuses[1].limit_remaining, 99);
}

#[tokio::test]
async fn hits_are_charged_as_they_are_sent_and_none_only_look() {
    let (_server, _clock, mut client) = server().await;
    let user = |hits: Option<u64>| RateLimitDescriptor {
        hits_addend: hits.map(Into::into),
        ..descriptor(&[("user", "ada")])
    };
    let mut all = request(vec![user(None)]);
    all.hits_addend = 60;
    assert_eq!(ask(&mut client, all).await.statuses[0].limit_remaining, 40);
    // A descriptor's own number counts, and the same one twice counts twice.
    let twice = request(vec![user(Some(30)), user(Some(9))]);
    let response = ask(&mut client, twice).await;
    assert_eq!(response.statuses[0].limit_remaining, 1);
    let look = || request(vec![user(Some(0))]);
    let seen = ask(&mut client, look()).await;
    assert_eq!(
        (seen.overall_code(), seen.statuses[0].limit_remaining),
        (Code::Ok, 1)
    );
    assert_eq!(
        ask(&mut client, request(vec![user(None)]))
            .await
            .overall_code(),
        Code::Ok
    );
    assert_eq!(
        ask(&mut client, look()).await.overall_code(),
        Code::OverLimit
    );
}

#[tokio::test]
async fn rules_exempt_and_descriptors_bring_limits_of_their_own() {
    let (_server, _clock, mut client) = server().await;
    let health = request(vec![descriptor(&[
        ("path", "/healthz"),
        ("remote_address", "::1"),
    ])]);
    for _ in 0..5 {
        let response = ask(&mut client, health.clone()).await;
        assert_eq!(response.overall_code(), Code::Ok);
        assert_eq!(response.statuses[0].current_limit, None);
    }
    let with_own = |entries: &[(&str, &str)]| RateLimitDescriptor {
        limit: Some(RateLimitOverride {
            requests_per_unit: 1,
            unit: RateLimitUnit::Hour.into(),
        }),
        ..descriptor(entries)
    };
    for entries in [&[("user", "ada")][..], &[("tenant", "blue"), ("job", "x")]] {
        let own = || request(vec![with_own(entries)]);
        let first = ask(&mut client, own()).await;
        let limit = first.statuses[0].current_limit.as_ref().unwrap();
        assert_eq!(limit.requests_per_unit, 1);
        assert_eq!(
            ask(&mut client, own()).await.overall_code(),
            Code::OverLimit
        );
    }
    let ambiguous = with_own(&[("path", "/login"), ("remote_address", "::1")]);
    let refused = client.should_rate_limit(request(vec![ambiguous])).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_request_that_asks_nothing_is_refused_with_the_reason() {
    let (_server, _clock, mut client) = server().await;
    let mut nowhere = request(vec![descriptor(&[("user", "ada")])]);
    nowhere.domain.clear();
    for (request, expected) in [
        (nowhere, "the domain is empty"),
        (
            request(Vec::new()),
            "0 descriptors were sent: it takes 1 to 64",
        ),
        (
            request(vec![descriptor(&[])]),
            "descriptor 0 has no entries",
        ),
    ] {
        let refused = client.should_rate_limit(request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert_eq!(refused.message(), expected);
    }
}

#[tokio::test]
async fn a_value_too_long_for_a_key_is_limited_all_the_same() {
    let (_server, _clock, mut client) = server().await;
    let long = "x".repeat(8_000);
    let page = || {
        request(vec![descriptor(&[
            ("path", &long),
            ("remote_address", "::1"),
        ])])
    };
    for code in [Code::Ok, Code::Ok, Code::OverLimit] {
        assert_eq!(ask(&mut client, page()).await.overall_code(), code);
    }
}

#[tokio::test]
async fn the_same_is_asked_as_json() {
    let (server, _clock, _client) = server().await;
    let body = json!({
        "domain": "edge",
        "descriptors": [{"entries": [{"key": "path", "value": "/login"}, {"key": "remote_address", "value": "::1"}]}],
    });
    let allowed = server.post("/json", &body).await;
    assert_eq!(allowed.status(), 200);
    let answer: Value = allowed.json().await.unwrap();
    assert_eq!(answer["overallCode"], "OK");
    assert_eq!(answer["statuses"][0]["currentLimit"]["unit"], "HOUR");
    let denied = server.post("/json", &body).await;
    assert_eq!(denied.status(), 429);
    assert_eq!(header(&denied, "content-type"), Some("application/json"));
    let answer: Value = denied.json().await.unwrap();
    assert_eq!(answer["overallCode"], "OVER_LIMIT");
    let until = answer["statuses"][0]["durationUntilReset"]
        .as_str()
        .unwrap();
    assert!(until.ends_with('s'), "{until}");
    let wrong = server
        .post("/json", &json!({"domain": "edge", "descriptor": []}))
        .await;
    let document = problem(wrong, 400, "invalid_input").await;
    assert!(document["detail"].as_str().unwrap().contains("descriptor"));
}

#[tokio::test]
async fn limits_that_are_replaced_keep_what_was_counted() {
    let live = limits();
    let (server, _clock) = Server::on_a_clock(|config| config.limits = live.clone()).await;
    let mut client = client(&server).await;
    let user = || {
        let mut request = request(vec![descriptor(&[("user", "ada")])]);
        request.hits_addend = 90;
        request
    };
    assert_eq!(ask(&mut client, user()).await.overall_code(), Code::Ok);
    assert_eq!(
        ask(&mut client, user()).await.overall_code(),
        Code::OverLimit
    );
    let mut config = LimitConfig::default();
    config.policies.push("user=200/day:fixed".parse().unwrap());
    config
        .envoy
        .push(EnvoyRule::new("edge", &["user"], &["user"]).unwrap());
    live.replace(config).unwrap();
    let response = ask(&mut client, user()).await;
    assert_eq!(response.overall_code(), Code::Ok);
    assert_eq!(response.statuses[0].limit_remaining, 20);
}

#[tokio::test]
async fn a_client_without_a_key_is_told_so_by_its_status() {
    let server = Server::with(|config| {
        config.limits = limits();
        config.api_keys.push(ApiKeyHash::of("secret"));
    })
    .await;
    let mut client = client(&server).await;
    let page = || request(vec![descriptor(&[("user", "ada")])]);
    let refused = client.should_rate_limit(page()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let mut keyed = tonic::Request::new(page());
    keyed
        .metadata_mut()
        .insert("x-api-key", "secret".parse().unwrap());
    assert!(client.should_rate_limit(keyed).await.is_ok());
}

#[tokio::test]
async fn what_is_reported_when_it_is_done_uses_up_the_rest() {
    for (takes_rest, left) in [(false, 10), (true, 0)] {
        let mut config = LimitConfig::default();
        config
            .policies
            .push("tokens=100/day:fixed".parse().unwrap());
        let rule = EnvoyRule::new("edge", &["user"], &["tokens"]).unwrap();
        let rule = if takes_rest { rule.taking_rest() } else { rule };
        config.envoy.push(rule);
        let limits = Limits::new(config).unwrap();
        let (server, _clock) = Server::on_a_clock(|config| config.limits = limits).await;
        let mut client = client(&server).await;
        let mut report = async |hits| {
            let mut done = request(vec![descriptor(&[("user", "ada")])]);
            done.hits_addend = hits;
            ask(&mut client, done).await.overall_code()
        };
        assert_eq!(report(90).await, Code::Ok);
        assert_eq!(report(90).await, Code::OverLimit);
        let peek = server
            .post("/v1/limits/tokens:peek", &json!({"subject": "ada"}))
            .await;
        let seen: Value = peek.json().await.unwrap();
        assert_eq!(seen["remaining"], left);
    }
}
