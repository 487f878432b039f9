//! The HTTP server while its Redis is lost and comes back.

use std::net::SocketAddr;
use std::time::Duration;

use mainstay::Options;
use mainstay_server::{Config, LimitConfig, Limits, ServeError};
use mainstay_testkit::fixture::{Flavor, Server, eventually};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{BOUND, COMMAND_TIMEOUT, NOTICE, RECOVERY, SLACK, durable, extent, on_both_flavors};

on_both_flavors! {
    every_route_answers_503_in_time_while_the_server_is_dead_and_works_after
    every_route_answers_in_time_while_the_server_is_frozen_and_works_after
    an_idle_stream_gets_a_reset_and_then_events
}

/// A running HTTP server and a client of it.
pub(crate) struct Site {
    address: SocketAddr,
    pub(crate) client: Client,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Result<(), ServeError>>,
}

impl Site {
    pub(crate) async fn start(redis: &Server) -> Self {
        let options = Options::new().command_timeout(COMMAND_TIMEOUT);
        let stay = options.connect(&redis.url()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut config = Config::default();
        let mut limits = LimitConfig::default();
        limits.policies.push("api=1000000/1m".parse().unwrap());
        config.limits = Limits::new(limits).unwrap();
        let run = tokio::spawn(mainstay_server::run(listener, stay, config, async {
            stopped.await.unwrap();
        }));
        Self {
            address,
            client: Client::new(),
            stop,
            run,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = timeout(BOUND, self.run).await.expect("the server drains");
        ended.unwrap().unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        let sent = self.client.get(self.url(path)).send();
        in_time(path, sent).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        let sent = self.client.post(self.url(path)).json(&body).send();
        in_time(path, sent).await
    }

    /// One request to each pillar; the answers.
    async fn call_all(&self) -> Vec<Response> {
        let put = self.client.put(self.url("/v1/cache/numbers/one"));
        vec![
            in_time("cache put", put.body("1").send()).await,
            self.get("/v1/cache/numbers/one").await,
            self.post("/v1/sessions", json!({"user": "ann", "data": {}}))
                .await,
            self.get("/v1/users/ann/sessions").await,
            self.post(
                "/v1/channels/numbers/events",
                json!({"type": "n", "data": 1}),
            )
            .await,
            self.post("/v1/limits/api:check", json!({"subject": "ann"}))
                .await,
            self.post("/v1/locks/brief:acquire", json!({"ttl": "100ms"}))
                .await,
        ]
    }

    async fn wait_ready(&self, ready: StatusCode, within: Duration) {
        eventually("readiness", within, async || {
            match self.get("/readyz").await.status() {
                status if status == ready => Ok(()),
                other => Err(other.to_string()),
            }
        })
        .await;
    }

    async fn wait_working(&self) -> Duration {
        let returned = Instant::now();
        eventually("all routes work", RECOVERY, async || {
            for answer in self.call_all().await {
                // A lock that a lost request took is held until its end.
                let is_well = answer.status().is_success() || answer.status() == StatusCode::LOCKED;
                if !is_well {
                    return Err(format!("{} {}", answer.url().path(), answer.status()));
                }
            }
            Ok(())
        })
        .await;
        self.wait_ready(StatusCode::OK, RECOVERY.saturating_sub(returned.elapsed()))
            .await;
        returned.elapsed()
    }

    /// Asks all routes until then: each answers 503 as a problem, and in time.
    async fn fail_until(&self, until: Instant) -> usize {
        let mut answered = 0;
        while Instant::now() < until {
            for answer in self.call_all().await {
                assert_eq!(
                    answer.status(),
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{answer:?}"
                );
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                let problem: Value = answer.json().await.unwrap();
                let code = problem["code"].as_str().unwrap();
                assert!(
                    matches!(code, "backend_unavailable" | "outcome_unknown"),
                    "{problem}"
                );
                answered += 1;
            }
            assert_eq!(self.get("/livez").await.status(), StatusCode::OK);
        }
        answered
    }
}

async fn in_time(
    what: &str,
    sent: impl Future<Output = Result<Response, reqwest::Error>>,
) -> Response {
    let answered = timeout(COMMAND_TIMEOUT + SLACK, sent).await;
    answered
        .unwrap_or_else(|_| panic!("{what} hangs"))
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

async fn every_route_answers_503_in_time_while_the_server_is_dead_and_works_after(flavor: Flavor) {
    let mut redis = durable(flavor).await;
    let site = Site::start(&redis).await;
    site.wait_working().await;
    for seconds in extent(&[1][..], &[1, 25]) {
        redis.kill();
        let dead = Instant::now();
        let answered = site.fail_until(dead + Duration::from_secs(*seconds)).await;
        site.wait_ready(StatusCode::SERVICE_UNAVAILABLE, NOTICE)
            .await;
        redis.restart().await;
        let took = site.wait_working().await;
        println!(
            "{flavor}: dead for {seconds} s, {answered} answers of 503, all works {took:?} after the return"
        );
    }
    site.stop().await;
}

async fn every_route_answers_in_time_while_the_server_is_frozen_and_works_after(flavor: Flavor) {
    let redis = durable(flavor).await;
    let site = Site::start(&redis).await;
    site.wait_working().await;
    redis.stop();
    let frozen = Instant::now();
    let answered = site.fail_until(frozen + Duration::from_secs(3)).await;
    assert_eq!(
        site.get("/readyz").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    redis.cont();
    let took = site.wait_working().await;
    println!(
        "{flavor}: frozen for 3 s, {answered} answers of 503, all works {took:?} after the return"
    );
    site.stop().await;
}

async fn an_idle_stream_gets_a_reset_and_then_events(flavor: Flavor) {
    let mut redis = durable(flavor).await;
    let site = Site::start(&redis).await;
    let mut stream = site.get("/v1/stream?channel=alarms").await;
    read_until(&mut stream, ": connected").await;
    redis.kill();
    site.wait_ready(StatusCode::SERVICE_UNAVAILABLE, NOTICE)
        .await;
    redis.restart().await;
    let returned = Instant::now();
    let reset = timeout(RECOVERY, read_until(&mut stream, "event: reset")).await;
    reset.expect("the stream is restored in time");
    println!(
        "{flavor}: stream restored {:?} after the return",
        returned.elapsed()
    );
    site.wait_working().await;
    let event = json!({"type": "alarm.raised", "data": 7});
    let published = site.post("/v1/channels/alarms/events", event).await;
    assert_eq!(published.status(), StatusCode::ACCEPTED);
    read_until(&mut stream, "event: alarm.raised").await;
    drop(stream);
    site.stop().await;
}

/// Reads a stream until a line starts with that text.
async fn read_until(stream: &mut Response, start: &str) {
    let mut read = String::new();
    let found = async {
        while !read.lines().any(|line| line.starts_with(start)) {
            let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
            read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    let outcome = timeout(BOUND, found).await;
    assert!(outcome.is_ok(), "{start:?} did not arrive in {read:?}");
}
