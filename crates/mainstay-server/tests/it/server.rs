//! A server of its own for each test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainstay::clock::ManualClock;
use mainstay::{Mainstay, Options};
use mainstay_server::{Config, LimitConfig, Limits, ServeError, run};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longer than anything a test waits for takes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) fn policies(texts: &[&str]) -> Limits {
    let mut config = LimitConfig::default();
    let policies = texts.iter().map(|text| text.parse().unwrap());
    config.policies.extend(policies);
    Limits::new(config).unwrap()
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stay: Mainstay,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(Mainstay::memory(), change).await
    }

    /// A server whose backend's time only the test moves.
    pub(crate) async fn on_a_clock(change: impl FnOnce(&mut Config)) -> (Self, ManualClock) {
        let clock = ManualClock::new();
        let options = Options::new().clock(Arc::new(clock.clone()));
        let stay = options.connect("memory:").await.unwrap();
        (Self::over(stay, change).await, clock)
    }

    pub(crate) async fn over(stay: Mainstay, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let backend = stay.clone();
        let task = tokio::spawn(async move {
            run(listener, backend, config, async {
                let _ = stopped.await;
            })
            .await
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            address,
            stay,
            client,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::PUT, path)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// Posts text of any type.
    pub(crate) async fn post_as(&self, path: &str, content_type: &str, body: &str) -> Response {
        self.request(Method::POST, path)
            .header("Content-Type", content_type)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    /// Begins the shutdown.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// What `run` returned.
    pub(crate) async fn ended(&mut self) -> Result<(), ServeError> {
        let ended = tokio::time::timeout(BOUND, &mut self.task).await;
        ended.expect("run returns").unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

/// The problem's document, after checking what every problem has.
pub(crate) async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(
        header(&response, "content-type"),
        Some("application/problem+json")
    );
    assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"));
    let answered = response.status();
    let document: Value = response.json().await.unwrap();
    assert_eq!(
        answered,
        StatusCode::from_u16(status).unwrap(),
        "{document}"
    );
    assert_eq!(document["status"], status);
    assert_eq!(document["code"], code, "{document}");
    let registered = "https://iana.org/assignments/http-problem-types#quota-exceeded";
    let own = format!("urn:mainstay:problem:{code}");
    let is_registered = matches!(code, "rate_limited" | "cost_above_limit");
    assert_eq!(
        document["type"],
        if is_registered { registered } else { &own }
    );
    assert!(
        document["title"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert!(
        document["detail"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    document
}
